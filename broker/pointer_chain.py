"""Decide which live pointer holds, out of the records of ``releases``: each names those that it follows.

Pure. The indexer is the one writer, but who else can write to the topic is the broker's matter. So a pointer
counts only when it says that it follows one that a reader has taken before: it names the digests of its
ancestors, and of strangers' records that the indexer has seen and overrules. Whatever a reader has taken in
the meantime, it takes the indexer's next pointer. No pointer is taken twice.
"""

import hashlib
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from schemas.releases import LivePointer

ANCESTORS = 50  # the newest; of older ones ever fewer, up to a hundred in all
RARE = 4
STRANGERS = 1000
TAKEN = 100_000  # digests that a reader remembers, some 10 MB: only a flood makes more than a few hundred


def digest(value: bytes) -> str:
    """Return how a pointer's record is named by those that follow it: 32 hexadecimal digits of its sha256.

    >>> len(digest(b"{}"))
    32
    """
    return hashlib.sha256(value).hexdigest()[:32]


def thinned(names: Sequence[str]) -> list[str]:
    """Return which digests, oldest first, are still named: the newest, and of older ones ever fewer.

    A refresh is a pointer every two minutes, so the newest alone would be an hour or two. Of the older the
    newest few stay whose hash ends with at least so many zero bits, for every number of them: one in two, in
    four, in eight. So a reader that was away finds one that it had taken before, if it had run as long.
    """
    names = list(dict.fromkeys(names))
    older, kept, counts = names[:-ANCESTORS], list[str](), [0] * 65
    for name in reversed(older):
        hashed = hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()
        bits = int.from_bytes(hashed) | 1 << 64
        zeros = (bits & -bits).bit_length() - 1
        if counts[zeros] < RARE:
            kept.append(name)
            for fewer in range(zeros + 1):
                counts[fewer] += 1
    return [*reversed(kept), *names[-ANCESTORS:]]


class PointerAncestry:
    """What the next pointer names.

    Pointers of the indexer, and the last strangers' records, each bounded by itself. A flood of strangers'
    records pushes none of the indexer's own out.
    """

    def __init__(self, ours: Iterable[str] = (), strangers: Iterable[str] = ()) -> None:
        self.ours = thinned([*ours])
        self.strangers = [*strangers][-STRANGERS:]

    def wrote(self, value: bytes) -> None:
        """Take a pointer of ours in."""
        self.ours = thinned([*self.ours, digest(value)])

    def saw(self, values: Iterable[bytes]) -> None:
        """Take pointers of strangers in."""
        self.strangers = [*self.strangers, *map(digest, values)][-STRANGERS:]

    @property
    def follows(self) -> list[str]:
        """What the next pointer follows, strangers first."""
        return [*self.strangers, *self.ours]


class PointerChain:
    """The pointer that holds, ``holds``. The first one that is taken is believed."""

    def __init__(self) -> None:
        self.holds: LivePointer | None = None
        self._taken: dict[str, None] = {}

    def take(self, value: bytes) -> bool:
        """Take a record's value in, in the order of the log.

        False for one that cannot be read or does not follow: nothing changes. Where neither it nor the one
        that holds names what it follows, an indexer from before the chain has written both: then the greater
        sequence holds.
        """
        try:
            pointer = LivePointer.from_json(value)
        except ValidationError:
            return False
        name = digest(value)
        if self.holds is not None and not self._follows(pointer, name, self.holds):
            return False
        self.holds = pointer
        self._taken[name] = None
        if len(self._taken) > TAKEN:
            del self._taken[next(iter(self._taken))]
        return True

    def _follows(self, pointer: LivePointer, name: str, known: LivePointer) -> bool:
        if pointer.follows is None:
            return known.follows is None and pointer.sequence > known.sequence
        return name not in self._taken and any(one in self._taken for one in pointer.follows)

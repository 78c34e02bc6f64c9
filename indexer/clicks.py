"""Count, per generation, the searches that showed something and those that were clicked.

Out of the clean events. Bounded. Only searches that carry a seal of our searchers count. A search counts once
it had ``MATURE_S`` to be clicked, not before: else a new generation, whose searches are all young, would
always look bad. What a merchandising rule placed is not the generation's doing: a click on it is none, and a
search that showed nothing else does not count. Where more come than can wait, a share of them is counted,
drawn by a keyed hash of their ids: which search falls into it says nothing about its clicks, and nobody can
choose an id that does.
"""

import hashlib
import secrets
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from indexer.click_test import Clicked
from retrieval.seal import Keys
from schemas.base import DAMAGED
from schemas.batches import unpack
from schemas.events import Action

MATURE_S = 120.0
REMEMBERED = 100_000
PER_SHOPPER = 20
SHOPPERS = 200_000
ROOMY = 4  # with a quarter of the room in use, the share may double
_HASH_BITS = 32


class _ClickedLine(msgspec.Struct, frozen=True):
    product_id: str = ""


class _Fact(msgspec.Struct, frozen=True):
    """As much of a clean event as is counted."""

    kind: str = ""
    shopper: str = ""
    query_id: str | None = None
    generation: int | None = None
    seal: str | None = None
    shown: list[str] = []
    placed: list[str] = []
    lines: list[_ClickedLine] = []
    action: str = ""


@dataclass
class _Shown:
    generation: int
    at: float
    placed: frozenset[str] = frozenset()
    clicked: bool = False


@dataclass
class ClickCounts:
    """What was shown and clicked since the start.

    ``keys`` are those of the searchers; ``secret`` decides who is in the sample. At most ``capacity``
    searches wait to mature, of one shopper with one generation ``PER_SHOPPER`` count. ``came`` counts by
    generation all that carry a seal, ``unproven`` what names a generation without a good one, ``halvings`` is
    the sample: 1 of 2 ** halvings.
    """

    capacity: int = REMEMBERED
    keys: Keys = field(default_factory=Keys)
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    came: Counter[int] = field(default_factory=Counter)
    unproven: int = 0
    unreadable: int = 0
    halvings: int = 0

    def __post_init__(self) -> None:
        self._searches: Counter[int] = Counter()
        self._clicked: Counter[int] = Counter()
        self._open: OrderedDict[str, _Shown] = OrderedDict()
        self._by_shopper: OrderedDict[tuple[int, str], int] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many searches wait to mature."""
        return len(self._open)

    def of(self, generation: int) -> Clicked:
        """Return the counts of a generation."""
        return Clicked(self._searches[generation], self._clicked[generation])

    def take(self, values: Iterable[bytes], now: float) -> None:
        """Take records of ``events`` in that arrived at ``now`` (seconds).

        What is neither a search of ours nor a click is not parsed. What cannot be read is skipped and
        counted.
        """
        for value in values:
            for _, fact in unpack(value):
                if b'"generation"' in fact or b'"click"' in fact:
                    try:
                        self._note(msgspec.json.decode(fact, type=_Fact), now)
                    except (msgspec.MsgspecError, *DAMAGED):
                        self.unreadable += 1
        while self._open and (first := next(iter(self._open.values()))).at <= now - MATURE_S:
            self._searches[first.generation] += 1
            self._clicked[first.generation] += first.clicked
            self._open.popitem(last=False)
        if self.halvings and len(self._open) < self.capacity // ROOMY:
            self.halvings -= 1

    def _note(self, fact: _Fact, now: float) -> None:
        if fact.query_id is None:
            return
        if fact.kind == "search" and fact.generation is not None:
            if self.keys.made(fact.seal, fact.query_id, fact.generation):
                self.came[fact.generation] += 1
                self._show(fact.query_id, fact, fact.generation, now)
            else:
                self.unproven += 1
        elif fact.action == Action.CLICK.value and (search := self._open.get(fact.query_id)) is not None:
            search.clicked |= not search.placed or any(x.product_id not in search.placed for x in fact.lines)

    def _show(self, query_id: str, fact: _Fact, generation: int, now: float) -> None:
        if (
            set(fact.placed).issuperset(fact.shown)
            or query_id in self._open
            or not self._drawn(query_id)
            or not self._has_a_say(generation, fact.shopper)
        ):
            return
        self._open[query_id] = _Shown(generation, now, frozenset(fact.placed))
        while len(self._open) > self.capacity:
            self.halvings += 1
            self._open = OrderedDict((i, shown) for i, shown in self._open.items() if self._drawn(i))

    def _drawn(self, query_id: str) -> bool:
        if not self.halvings:
            return True
        digest = hashlib.blake2b(
            query_id.encode("utf-8", "replace"), key=self.secret, digest_size=_HASH_BITS // 8
        ).digest()
        return int.from_bytes(digest, "big") >> max(0, _HASH_BITS - self.halvings) == 0

    def _has_a_say(self, generation: int, shopper: str) -> bool:
        """Say whether the shopper may count once more, and count it."""
        key = (generation, shopper)
        said = self._by_shopper.get(key, 0)
        if said >= PER_SHOPPER:
            return False
        self._by_shopper[key] = said + 1
        self._by_shopper.move_to_end(key)
        if len(self._by_shopper) > SHOPPERS:
            self._by_shopper.popitem(last=False)
        return True

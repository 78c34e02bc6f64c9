"""Titles that are nearly the same: MinHash over their character trigrams (Broder 1997), then the trigrams.

A title is the least of each of 40 hashes, of which 8 bits are kept, and 8 numbers of 32 bits, each made of
five of them. Two titles whose trigrams agree to .8 have one of the 8 in common with a probability of .96, at
.5 of .22. Each is looked at beside the eight next to it that have the same number; where at least 26 of the
40 agree, too, the trigrams themselves are compared, of no more than two million pairs: rare ones count more,
or any two films on the same kind of disc were nearly the same. So what is found is certain, and time and
memory are bounded whatever the titles are, but of an endless series some are missed.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from completeness.joined_groups import JoinedGroups
from schemas.text import normalise_query

BANDS, ROWS = 8, 5
ALIKE = 0.8
_NEIGHBOURS = 8
_LIKELY = 26  # of 40: at an agreement of .8 so many or more with a probability of .99
_CHUNK = 100_000
_COUNTERS = 1 << 18
_MOST_PAIRS = 2_000_000
_WORD = re.compile(r"[\w+#]+")  # C, C++ and C# are three
_LONGEST = 500  # characters of a title that are compared
_MOST = np.uint32(0xFFFFFFFF)
_GOLDEN = np.uint32(0x9E3779B1)

Numbers = npt.NDArray[np.uint32]


class TitleSketches(NamedTuple):
    """Of n titles: ``bands`` (n, BANDS), ``marks`` (n, BANDS * ROWS) and the count of ``trigrams`` (n,)."""

    bands: Numbers
    marks: npt.NDArray[np.uint8]
    trigrams: npt.NDArray[np.uint16]


class AlikeTitles(NamedTuple):
    """Groups of rows with titles that are nearly the same, and whether all that could be were compared."""

    groups: list[list[int]]
    complete: bool


def same_form(title: str) -> str:
    """Return the form in which two titles are the same: words in lower case, few other signs.

    >>> same_form(" Mug, RED (2-pack)")
    'mug red 2 pack'
    """
    return " ".join(_WORD.findall(normalise_query(title)))


class TitleSketcher:
    """Makes sketches of titles, and counts how often each trigram comes, by 18 bits of its hash."""

    def __init__(self) -> None:
        self.titles = 0
        self._counts = np.zeros(_COUNTERS, np.int64)
        self._weights: dict[str, float] = {}

    def sketches(self, titles: Sequence[str]) -> TitleSketches:
        """Return the sketches of titles in their same form, and count their trigrams."""
        if not titles:
            nothing = np.zeros((0, BANDS * ROWS), np.uint8)
            return TitleSketches(np.zeros((0, BANDS), np.uint32), nothing, np.zeros(0, np.uint16))
        texts = [f" {title[:_LONGEST]} " if title else "   " for title in titles]
        lengths = np.array([len(text) for text in texts])
        ends = np.cumsum(lengths)
        starts = ends - lengths
        letters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        hashed = np.concatenate([_hashed(letters[:-2], letters[1:-1], letters[2:]), np.zeros(2, np.uint32)])
        across = np.zeros(len(letters), np.uint32)  # a trigram of two titles is never the least
        across[ends - 1] = across[ends - 2] = _MOST
        self.titles += len(titles)
        self._counts += np.bincount(hashed[across == 0] % _COUNTERS, minlength=_COUNTERS)
        least = np.empty((BANDS * ROWS, len(texts)), np.uint32)
        for n, (factor, added) in enumerate(_FUNCTIONS):
            least[n] = np.minimum.reduceat((hashed * factor + added) | across, starts)
        bands = np.zeros((BANDS, len(texts)), np.uint32)
        for row in range(ROWS):
            bands = _mixed(bands * _GOLDEN + least[row::ROWS])
        marks = np.ascontiguousarray(least.astype(np.uint8).T)
        return TitleSketches(np.ascontiguousarray(bands.T), marks, (lengths - 2).astype(np.uint16))

    def agreement(self, one: str, other: str) -> float:
        """Return the share of the trigrams of two titles that they have in common, by weight (Jaccard).

        A trigram weighs ``log(2 + titles / times that it came)``, of the titles that were seen so far.
        """
        ours, theirs = _trigrams(one), _trigrams(other)
        common = sum(map(self._weight, ours & theirs))
        return common / ((common + sum(map(self._weight, ours ^ theirs))) or 1.0)

    def _weight(self, trigram: str) -> float:
        if trigram not in self._weights:
            letters = np.frombuffer(trigram.encode("utf-32-le", "surrogatepass"), np.uint32)
            hashed = int(_hashed(letters[:1], letters[1:2], letters[2:])[0])
            self._weights[trigram] = float(np.log(2 + self.titles / max(1, self._counts[hashed % _COUNTERS])))
        return self._weights[trigram]


def alike_titles(
    sketched: TitleSketches,
    rows: npt.NDArray[np.int64],
    apart: Callable[[Any, Any], Any],
    agreement: Callable[[int, int], float],
) -> AlikeTitles:
    """Return the groups among ``rows``, of which each has another title, in order of their first row.

    ``sketched`` are all rows; ``apart`` says of arrays of rows which pairs are to be compared; ``agreement``
    compares the titles of two rows; pairs with the same first row follow each other.
    """
    joined = JoinedGroups()
    n, seen, complete = len(sketched.trigrams), np.zeros(0, np.int64), True
    for first, second in _neighbours(sketched.bands, rows):
        wanted = _likely(sketched, first, second) & apart(first, second)
        pairs = np.setdiff1d(first[wanted] * n + second[wanted], seen)
        if len(seen) + len(pairs) > _MOST_PAIRS:
            pairs, complete = pairs[: _MOST_PAIRS - len(seen)], False
        seen = np.union1d(seen, pairs)
        for one, other in zip((pairs // n).tolist(), (pairs % n).tolist(), strict=True):
            if agreement(one, other) >= ALIKE:
                joined.join(one, other)
    return AlikeTitles(joined.all(), complete)


def _neighbours(bands: Numbers, rows: npt.NDArray[np.int64]) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of rows that agree in a band; those that agree in more of them are next to each other."""
    for band in range(BANDS):
        order = np.lexsort(tuple(bands[rows, (band - n) % BANDS] for n in range(1, BANDS + 1)))
        ordered = rows[order]
        own = bands[ordered, band]
        for ahead in range(1, _NEIGHBOURS + 1):
            same = np.flatnonzero(own[ahead:] == own[:-ahead])
            first, second = ordered[same], ordered[same + ahead]
            yield np.minimum(first, second), np.maximum(first, second)


def _likely(sketched: TitleSketches, first: Any, second: Any) -> Any:
    """Say which pairs may well be alike, by their counts of trigrams and by their marks."""
    found = np.zeros(len(first), bool)
    for start in range(0, len(first), _CHUNK):
        one, other = first[start : start + _CHUNK], second[start : start + _CHUNK]
        few, many = np.sort(np.stack([sketched.trigrams[one], sketched.trigrams[other]]), axis=0)
        agree = (sketched.marks[one] == sketched.marks[other]).sum(axis=1)
        found[start : start + _CHUNK] = (few >= ALIKE * many) & (agree >= _LIKELY)
    return found


def _trigrams(title: str) -> set[str]:
    text = f" {title[:_LONGEST]} "
    return {text[n : n + 3] for n in range(len(text) - 2)}


def _hashed(first: Any, second: Any, third: Any) -> Any:
    """Return the hashes of trigrams by the code points of their letters."""
    return _mixed(first * np.uint32(0x85EBCA6B) + second * np.uint32(0xC2B2AE35) + third * _GOLDEN)


def _mixed(values: Any) -> Any:
    """Return numbers whose every bit depends on every bit of ``values`` (the end of MurmurHash3)."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


def _functions() -> list[tuple[np.uint32, np.uint32]]:
    random = np.random.default_rng(1)
    drawn = random.integers(0, 2**32, size=(BANDS * ROWS, 2), dtype=np.uint32)
    return [(np.uint32(factor | 1), np.uint32(added)) for factor, added in drawn]


_FUNCTIONS = _functions()

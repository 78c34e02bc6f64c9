"""How alike a query and the texts of a catalogue that changes are written: tf-idf of character n-grams.

Finds what words do not: typing errors, and words run together or apart. A value is the cosine of the rows of
tf-idf (``character_ngrams``, smoothed idf over the texts that are there): from 0 to 1. Pure; the texts and
the candidates come from ``words``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retrieval.character_ngrams import ngrams, ngrams_of
from retrieval.known_texts import MOST, KnownTexts

LEADING = 160  # characters of a text that count: what names a product stands first
MOST_GRAMS = 24  # of a query by which candidates are looked for: the rarest
IN_INDEX = 3  # characters of an n-gram that candidates are looked for by
_BITS = 21  # n-grams are told apart by so many bits of their hash
_BUCKET = np.uint32(2**_BITS - 1)
_COARSE = np.uint32(2**13 - 1)
_MOST_TIMES = 2 ** (32 - _BITS) - 1

Counts = npt.NDArray[np.uint32]
Places = npt.NDArray[np.int64]
Lengths = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NgramCounts:
    """The n-grams of one text: ``buckets`` rising, each with how often it occurs, as one number of 32 bits.

    ``terms`` are those that stand in the index of candidates.
    """

    counts: Counts
    terms: list[str]

    @property
    def buckets(self) -> Counts:
        """Return the numbers of the n-grams."""
        found: Counts = self.counts & _BUCKET
        return found

    @property
    def times(self) -> Counts:
        """Return how often each occurs."""
        found: Counts = self.counts >> np.uint32(_BITS)
        return found


def ngram_counts(texts: Sequence[str]) -> list[NgramCounts]:
    """Return the n-grams of each text."""
    if not texts:
        return []
    leading = [text[:LEADING] for text in texts]
    rows, hashes, sizes = ngrams_of(leading[0]) if len(texts) == 1 else ngrams(leading)
    buckets = (hashes >> np.uint64(64 - _BITS)).astype(np.int64)
    keys, first, times = np.unique((rows << _BITS) | buckets, return_index=True, return_counts=True)
    counts = (keys & int(_BUCKET)).astype(np.uint32)
    indexed = sizes[first] == IN_INDEX
    packed = (np.minimum(times, _MOST_TIMES).astype(np.uint32) << np.uint32(_BITS)) | counts
    ends = np.searchsorted(keys, np.arange(1, len(texts)) << _BITS)
    return [
        NgramCounts(own, [f"{bucket:x}" for bucket in (own & _BUCKET)[there].tolist()])
        for own, there in zip(np.split(packed, ends), np.split(indexed, ends), strict=True)
    ]


class Characters:
    """The n-grams of the texts that are there. May be shared by threads; one writer at a time."""

    def __init__(self, texts: Callable[[Sequence[int]], Mapping[int, str]]) -> None:
        """``texts``: asked for the texts of documents, by number, that were used longest ago."""
        self._known = KnownTexts(texts, lambda read: [own.counts for own in ngram_counts(read)])
        self._frequency = np.zeros(2**_BITS, dtype=np.int32)
        self._count = 0
        self._known_lengths: dict[int, float] = {}

    def enter(self, documents: Mapping[int, NgramCounts]) -> None:
        """Count documents, by number."""
        for own in documents.values():
            self._frequency[own.buckets] += 1
        self._count += len(documents)
        self._known_lengths = {}
        self._known.enter({number: own.counts for number, own in documents.items()})

    def leave(self, numbers: Sequence[int]) -> None:
        """Count documents no longer. To be said while their texts are still there."""
        left = self._known.of(numbers)
        for own in left.values():
            self._frequency[own & _BUCKET] -= 1
        self._count -= len(left)
        self._known_lengths = {}
        self._known.leave(left)

    def rarest(self, query: NgramCounts) -> list[str]:
        """Return the terms by which candidates are looked for, those of the fewest texts first."""
        frequency = [(int(self._frequency[int(term, 16)]), term) for term in query.terms]
        return [term for count, term in sorted(frequency) if count > 0][:MOST_GRAMS]

    def values(self, query: NgramCounts, numbers: Sequence[int]) -> dict[int, float]:
        """Return the cosine of the query with each of the documents; 0 is left out."""
        counts = {number: own for number, own in self._known.of(numbers).items() if len(own)}
        if not counts or not len(query.counts):
            return {}
        entries = np.concatenate(list(counts.values()))
        place, shared = _shared(entries & _BUCKET, query.buckets)
        rarity = self._rarity(query.buckets)
        asked = query.times * rarity
        asked /= np.sqrt((asked**2).sum())
        weights = (entries[shared] >> np.uint32(_BITS)) * rarity[place] * asked[place]
        text = np.searchsorted(np.cumsum([len(own) for own in counts.values()]), shared, side="right")
        found = np.bincount(text, weights, minlength=len(counts)) / self._lengths(counts)
        return {number: value for number, value in zip(counts, found.tolist(), strict=True) if value > 0}

    def _lengths(self, counts: Mapping[int, Counts]) -> Lengths:
        """Return the lengths of the rows of documents, none of which is empty; held until the next change."""
        known = self._known_lengths  # a change puts another in its place, and what comes late is lost
        lacking = [number for number in counts if number not in known]
        fresh: dict[int, float] = {}
        if lacking:
            entries = np.concatenate([counts[number] for number in lacking])
            weights = (entries >> np.uint32(_BITS)) * self._rarity(entries & _BUCKET)
            starts = np.cumsum([0, *(len(counts[number]) for number in lacking)])[:-1]
            lengths = np.sqrt(np.add.reduceat(weights**2, starts))
            fresh = dict(zip(lacking, lengths.tolist(), strict=True))
            if len(known) < MOST:
                known.update(fresh)
        return np.array([fresh[number] if number in fresh else known[number] for number in counts])

    def _rarity(self, buckets: Counts) -> npt.NDArray[np.float64]:
        frequency = np.maximum(self._frequency[buckets], 0)
        found: npt.NDArray[np.float64] = np.log1p(self._count) + 1.0 - np.log(frequency + 1.0)
        return found


def _shared(buckets: Counts, asked: Counts) -> tuple[Places, Places]:
    """Return the places in ``asked``, which rises, of those of ``buckets`` that are there, and theirs."""
    table = np.zeros(_COARSE + 1, dtype=bool)  # fits the nearest cache; most of the others end here
    table[asked & _COARSE] = True
    there = np.flatnonzero(table.take(buckets & _COARSE, mode="clip"))
    left = buckets[there]
    place = np.minimum(np.searchsorted(asked, left), len(asked) - 1)
    same = asked[place] == left
    return place[same], there[same]

"""Which remembered texts are written most like a query, and how alike: tf-idf of character n-grams.

The similarity is the cosine of tf-idf rows of ``character_ngrams``, with smoothed idf, 0 to 1. Candidates
come from lists of the texts by n-gram, the rarest first and the shortest texts first, within a budget: so a
query costs the same however many texts there are. Pure numpy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import local
from typing import Any

import numpy as np
import numpy.typing as npt

from retrieval.character_ngrams import Hashes, ngrams, ngrams_of
from retrieval.vector_lists import Rows, best

VISITED = 49152  # entries of lists that are read for a query, at most
IN_LISTS = 3  # n-grams of fewer characters find too much
_CHUNK = 20_000
_NOTHING = np.zeros(0, dtype=np.int32)

Floats = npt.NDArray[np.float32]


def build_character_index(texts: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an index of texts, to be kept and given to ``CharacterIndex``."""
    vocabulary, long = _vocabulary(texts)
    size = len(vocabulary)
    frequency = np.zeros(size, dtype=np.int64)
    occurring, counts, listed = [_NOTHING], [_NOTHING], [(_NOTHING, _NOTHING)]
    for start in range(0, len(texts), _CHUNK):
        rows, hashes, _ = ngrams(texts[start : start + _CHUNK])
        grams = np.searchsorted(vocabulary, hashes)
        row, gram = np.divmod(np.unique(rows * max(1, size) + grams), max(1, size))
        frequency += np.bincount(gram, minlength=size)
        occurring.append(grams.astype(np.int32))
        counts.append(np.bincount(rows, minlength=len(texts[start : start + _CHUNK])).astype(np.int32))
        keep = long[gram]
        listed.append((gram[keep].astype(np.int32), (row[keep] + start).astype(np.int32)))
    text_grams = np.concatenate(occurring)
    text_starts = np.concatenate([[0], np.cumsum(np.concatenate(counts), dtype=np.int64)])
    rarity = (np.log((1 + len(texts)) / (1 + frequency)) + 1).astype(np.float32)
    norms = _norms(text_grams, text_starts, rarity)
    gram_rows, gram_starts = _lists(listed, size, norms)
    return {
        "gram_hashes": vocabulary,
        "gram_rarity": rarity,
        "gram_starts": gram_starts,
        "gram_rows": gram_rows,
        "text_grams": text_grams,
        "text_starts": text_starts,
        "text_norms": norms,
    }


def _vocabulary(texts: Sequence[str]) -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """Return the hashes of all n-grams, sorted, and which of them have lists."""
    all_of_them = long = np.zeros(0, dtype=np.uint64)
    for start in range(0, len(texts), _CHUNK):
        _, hashes, sizes = ngrams(texts[start : start + _CHUNK])
        all_of_them = np.union1d(all_of_them, hashes)
        long = np.union1d(long, hashes[sizes >= IN_LISTS])
    return all_of_them, np.isin(all_of_them, long)


def _norms(grams: npt.NDArray[np.int32], starts: npt.NDArray[np.int64], rarity: Floats) -> Floats:
    """Return the length of each text's row of tf-idf."""
    norms = np.zeros(len(starts) - 1, dtype=np.float32)
    for first in range(0, len(norms), _CHUNK):
        own = starts[first : first + _CHUNK + 1]
        rows = np.repeat(np.arange(len(own) - 1), np.diff(own))
        keys, times = np.unique(rows * max(1, len(rarity)) + grams[own[0] : own[-1]], return_counts=True)
        row, gram = np.divmod(keys, max(1, len(rarity)))
        weights = (times * rarity[gram].astype(np.float64)) ** 2
        norms[first : first + _CHUNK] = np.sqrt(np.bincount(row, weights, minlength=len(own) - 1))
    return norms


def _lists(
    listed: Sequence[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]], size: int, norms: Floats
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return the rows of each n-gram that has a list, those of short texts first, and where a list begins."""
    grams, rows = (np.concatenate(column) for column in zip(*listed, strict=True))
    place = np.empty(len(norms), dtype=np.int64)
    place[np.argsort(norms, kind="stable")] = np.arange(len(norms))
    order = np.argsort(grams.astype(np.int64) * max(1, len(norms)) + place[rows], kind="stable")
    lengths = np.bincount(grams, minlength=size).astype(np.int64)
    return rows[order], np.concatenate([[0], np.cumsum(lengths)])


@dataclass(frozen=True)
class Written:
    """A query as the index knows it: its n-grams, ascending, and their weights in a row of length 1."""

    grams: npt.NDArray[np.int64]
    weights: Floats


@dataclass(frozen=True)
class CharacterIndex:
    """An index that was built before. Calls may come from several threads."""

    hashes: Hashes
    rarity: Floats
    gram_starts: npt.NDArray[np.int64]
    gram_rows: npt.NDArray[np.int32]
    text_grams: npt.NDArray[np.int32]
    text_starts: npt.NDArray[np.int64]
    norms: Floats
    _desk: local = field(default_factory=local)

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "CharacterIndex":
        """Take the arrays of ``build_character_index``."""
        return cls(
            hashes=arrays["gram_hashes"],
            rarity=arrays["gram_rarity"],
            gram_starts=arrays["gram_starts"],
            gram_rows=arrays["gram_rows"],
            text_grams=arrays["text_grams"],
            text_starts=arrays["text_starts"],
            norms=arrays["text_norms"],
        )

    def read(self, query: str) -> Written:
        """Return what the index knows of a query; what no text has counts in its length, as the rarest."""
        _, hashes, _ = ngrams_of(query)
        unique, times = np.unique(hashes, return_counts=True)
        at = np.minimum(np.searchsorted(self.hashes, unique), max(0, len(self.hashes) - 1))
        known = self.hashes[at] == unique if len(self.hashes) else np.zeros(len(unique), dtype=bool)
        grams = at[known]
        weights = times[known] * self.rarity[grams]
        unheard = float((times[~known] ** 2).sum()) * (np.log1p(len(self.norms)) + 1) ** 2
        length = float(np.sqrt((weights**2).sum() + unheard))
        return Written(grams, (weights / (length or 1.0)).astype(np.float32))

    def nearest(self, query: Written, count: int) -> Rows:
        """Return at most ``count`` rows of like texts, sorted by number; none without an n-gram in common."""
        starts, ends = self.gram_starts[query.grams], self.gram_starts[query.grams + 1]
        order = np.argsort(ends - starts, kind="stable")
        left, lists = VISITED, []
        for at in order.tolist():
            taken = min(int(ends[at] - starts[at]), left)
            if taken > 0:
                rows = self.gram_rows[starts[at] : starts[at] + taken].astype(np.int64)
                lists.append((rows, query.weights[at] * self.rarity[query.grams[at]]))
                left -= taken
        return self._best(lists, count) if lists else np.zeros(0, dtype=np.int64)

    def similarities(self, query: Written, rows: Rows) -> Floats:
        """Return the cosine of the query with each of the rows."""
        if not len(query.grams) or not len(rows):
            return np.zeros(len(rows), dtype=np.float32)
        starts = self.text_starts[rows]
        lengths = self.text_starts[rows + 1] - starts
        firsts = np.cumsum(lengths) - lengths
        grams = self.text_grams[np.repeat(starts - firsts, lengths) + np.arange(int(lengths.sum()))]
        weights = self._at_desk().weights
        weights[query.grams] = query.weights * self.rarity[query.grams]
        shared = weights.take(grams, mode="clip")
        weights[query.grams] = 0.0
        sums = np.bincount(np.repeat(np.arange(len(rows)), lengths), shared, minlength=len(rows))
        norms = self.norms[rows]
        found: Floats = (sums / np.where(norms > 0, norms, 1.0)).astype(np.float32)
        return found

    def _best(self, lists: Sequence[tuple[Rows, np.float32]], count: int) -> Rows:
        """Sum the weights by row without touching all rows; a row is in a list once."""
        sums = self._at_desk().sums
        for rows, weight in lists:
            np.add.at(sums, rows, weight)
        found = []
        for rows, _ in lists:
            found.append(sums[rows])
            sums[rows] = 0.0  # so that it is 0 where the row comes again
        totals: Floats = np.concatenate(found)
        once = np.flatnonzero(totals > 0)
        rows = np.concatenate([own for own, _ in lists])[once]
        scores: Floats = totals[once] / self.norms[rows]
        return best(rows, scores, count)

    def _at_desk(self) -> local:
        """Return this thread's arrays to sum in; whoever uses them leaves zeros."""
        if not hasattr(self._desk, "sums"):
            self._desk.sums = np.zeros(len(self.norms), dtype=np.float32)
            self._desk.weights = np.zeros(len(self.hashes), dtype=np.float32)
        return self._desk

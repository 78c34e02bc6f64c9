"""Which remembered vectors are the nearest, without looking at all of them.

An inverted file (Jegou, Douze, Schmid, PAMI 2011): vectors lie in lists around centroids, and only the lists
nearest to the query are read. Few vectors are one list, so none is left out. A vector is kept as bytes and a
scale of its own, which turns a cosine by some thousandths. Pure numpy, no randomness: the same vectors make
the same lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

EXACT = 4096  # with so few rows nothing is left out
VISITED = 4096  # rows that are read for a query, at least
LONGEST = 512  # rows of a list
_ROUNDS = 6
_PER_LIST = 40  # rows by which a centroid is found
_BLOCK = 16384
_GREATEST = 127

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


def build_lists(vectors: Floats) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of lists of unit vectors (n, dim), to be kept and given to ``VectorLists``."""
    count = len(vectors)
    number = 1 if count <= EXACT else 2 * int(np.sqrt(count))
    centroids = _centroids(vectors, number)
    own = _nearest(vectors, centroids)
    order = np.argsort(own, kind="stable")
    sizes = np.bincount(own, minlength=number)
    # A long list is cut into several with the same centroid, so that none costs much more than another
    cuts = np.maximum(1, -(-sizes // LONGEST))
    firsts = np.repeat(np.cumsum(sizes) - sizes, cuts)
    starts = firsts + LONGEST * (np.arange(len(firsts)) - np.repeat(np.cumsum(cuts) - cuts, cuts))
    places = np.empty(count, dtype=np.int32)
    places[order] = np.arange(count, dtype=np.int32)
    scales = (np.abs(vectors).max(axis=1, initial=0.0) / _GREATEST).astype(np.float32)[order]
    quantised = np.empty(vectors.shape, dtype=np.int8)
    for start in range(0, count, _BLOCK):
        here = slice(start, start + _BLOCK)
        quantised[here] = np.rint(vectors[order[here]] / np.where(scales > 0, scales, 1.0)[here, None])
    return {
        "list_vectors": quantised,
        "list_scales": scales,
        "list_centroids": np.repeat(centroids, cuts, axis=0),
        "list_starts": np.concatenate([starts, [count]]).astype(np.int64),
        "list_rows": order.astype(np.int32),
        "list_places": places,
    }


@dataclass(frozen=True)
class VectorLists:
    """Lists that were built before.

    ``vectors`` (n, dim) in the order of the lists, to be multiplied by ``scales``; ``rows`` which row each
    is, ``places`` where a row lies, ``starts`` where each list begins and the last one ends.
    """

    vectors: npt.NDArray[np.int8]
    scales: Floats
    centroids: Floats
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]
    places: npt.NDArray[np.int32]

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "VectorLists":
        """Take the arrays of ``build_lists``."""
        names = ("vectors", "scales", "centroids", "starts", "rows", "places")
        return cls(*(arrays[f"list_{name}"] for name in names))

    def nearest(self, vector: Floats, count: int) -> Rows:
        """Return at most ``count`` rows by cosine, sorted by number; of equal ones the smaller row."""
        order = np.argsort(-(self.centroids @ vector), kind="stable")
        sizes = np.diff(self.starts)[order]
        probed = order[: int(np.searchsorted(np.cumsum(sizes), VISITED)) + 1]
        spans = [(self.starts[at], self.starts[at + 1]) for at in probed.tolist()]
        cosines = np.concatenate(
            [(self.vectors[a:b].astype(np.float32) @ vector) * self.scales[a:b] for a, b in spans]
        )
        rows = np.concatenate([self.rows[a:b] for a, b in spans]).astype(np.int64)
        return best(rows, cosines, count)

    def cosines(self, vector: Floats, rows: Rows) -> Floats:
        """Return the cosine of each of the rows."""
        at = self.places[rows]
        found: Floats = (self.vectors[at].astype(np.float32) @ vector) * self.scales[at]
        return found


def best(rows: Rows, scores: Floats, count: int) -> Rows:
    """Return the ``count`` rows of the highest scores, sorted by number; of equal scores the smaller row."""
    if len(rows) > count:
        floor = np.partition(scores, len(scores) - count)[len(scores) - count]
        there = np.flatnonzero(scores >= floor)
        rows = rows[there][np.lexsort((rows[there], -scores[there]))[:count]]
    return np.sort(rows)


def _centroids(vectors: Floats, number: int) -> Floats:
    """Return the means of ``number`` groups (Lloyd), found on evenly spaced rows; (1, dim) for one group."""
    if number == 1:
        return np.zeros((1, vectors.shape[1]), dtype=np.float32)
    step = max(1, len(vectors) // (number * _PER_LIST))
    sample = vectors[::step]
    centroids = sample[np.linspace(0, len(sample) - 1, number).astype(np.int64)].astype(np.float32)
    for _ in range(_ROUNDS):
        own = _nearest(sample, centroids)
        order = np.argsort(own, kind="stable")
        groups, firsts = np.unique(own[order], return_index=True)
        sums = np.add.reduceat(sample[order].astype(np.float64), firsts, axis=0)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids[groups] = sums / np.where(lengths > 0, lengths, 1.0)
    return centroids


def _nearest(vectors: Floats, centroids: Floats) -> npt.NDArray[np.int64]:
    own = np.empty(len(vectors), dtype=np.int64)
    for start in range(0, len(vectors), _BLOCK):
        own[start : start + _BLOCK] = (vectors[start : start + _BLOCK] @ centroids.T).argmax(axis=1)
    return own

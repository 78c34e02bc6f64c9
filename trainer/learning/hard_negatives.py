"""Hard negatives: products that the start model ranks high for a query.

Shoppers engage with them, but never after this query. Pure.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DEPTH = 30
_CHUNK = 256


@dataclass(frozen=True)
class HardNegatives:
    """Per query number its hard negatives.

    ``table`` (queries, depth) of product numbers, the first ``counts`` of a row are valid.
    """

    table: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    def pick(
        self,
        queries: npt.NDArray[np.int64],
        own: npt.NDArray[np.int64],
        per_query: int,
        rng: np.random.Generator,
    ) -> npt.NDArray[np.int64]:
        """Return drawn product numbers (n, per_query).

        A query without any gets ``own`` (n,), its positive: a negative of nobody.
        """
        counts = self.counts[queries]
        drawn = (rng.random((len(queries), per_query)) * counts[:, None]).astype(np.int64)
        if not self.table.shape[1]:
            return np.repeat(own[:, None], per_query, axis=1)
        picked = np.take_along_axis(self.table[queries], drawn, axis=1)
        return np.where(counts[:, None] > 0, picked, own[:, None])


def mine(
    queries: npt.NDArray[np.float32],
    products: npt.NDArray[np.float32],
    known: npt.NDArray[np.int64],
    *,
    among: npt.NDArray[np.int64],
    depth: int = DEPTH,
) -> HardNegatives:
    """Return for each query the ``depth`` nearest products of ``among``, less its known positives.

    Nearest first, ties by number. ``queries`` (n, dim) and ``products`` (m, dim) are unit rows; ``known`` (k,
    2) holds query and product numbers. A product with the vector of a known positive is one too: the model
    reads both as the same.
    """
    same = _numbered(products)
    depth = min(depth, len(among))
    table = np.zeros((len(queries), depth), dtype=np.int64)
    counts = np.zeros(len(queries), dtype=np.int64)
    positives: dict[int, set[int]] = {}
    for query, vector in zip(known[:, 0].tolist(), same[known[:, 1]].tolist(), strict=True):
        positives.setdefault(query, set()).add(vector)
    rows = products[among]
    for start in range(0, len(queries), _CHUNK):
        own = slice(start, start + _CHUNK)
        nearest = among[_nearest(np.round(queries[own] @ rows.T, 6), depth)]
        for query, candidates in enumerate(nearest, start):
            theirs = positives.get(query, ())
            kept = [
                p
                for p, vector in zip(candidates.tolist(), same[candidates].tolist(), strict=True)
                if vector not in theirs
            ]
            table[query, : len(kept)] = kept
            counts[query] = len(kept)
    return HardNegatives(table, counts)


def _nearest(scores: npt.NDArray[np.float32], depth: int) -> npt.NDArray[np.int64]:
    """Return the columns (n, depth) of the greatest scores, ties by column.

    Only these are sorted, and the ties of the last of them.
    """
    found = np.empty((len(scores), depth), dtype=np.int64)
    if not depth:
        return found
    least = np.partition(scores, scores.shape[1] - depth, axis=1)[:, scores.shape[1] - depth]
    for row, (own, bound) in enumerate(zip(scores, least, strict=True)):
        at = np.flatnonzero(own >= bound)
        found[row] = at[np.argsort(-own[at], kind="stable")[:depth]]
    return found


def _numbered(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return (m,) numbers: equal rows have the same one."""
    first: dict[bytes, int] = {}
    return np.array(
        [first.setdefault(row.tobytes(), number) for number, row in enumerate(vectors)], dtype=np.int64
    )

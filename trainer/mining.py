"""Hard negatives: products that the start model ranks high for a query, that shoppers engage with, but never after this query. Pure."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DEPTH = 30
_CHUNK = 1024


@dataclass(frozen=True)
class HardNegatives:
    """Per query number its hard negatives: ``table`` (queries, depth) of product numbers, the first ``counts`` of a row are valid."""

    table: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    def pick(
        self, queries: npt.NDArray[np.int64], own: npt.NDArray[np.int64], per_query: int, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """Return drawn product numbers (n, per_query). A query without any gets ``own`` (n,), its positive: a negative of nobody."""
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
    """Return for each query the ``depth`` nearest products of ``among``, less its known positives; nearest first, ties by number.

    ``queries`` (n, dim) and ``products`` (m, dim) are unit rows; ``known`` (k, 2) holds query and product numbers.
    """
    depth = min(depth, len(among))
    table = np.zeros((len(queries), depth), dtype=np.int64)
    counts = np.zeros(len(queries), dtype=np.int64)
    positives: dict[int, set[int]] = {}
    for query, product in known.tolist():
        positives.setdefault(query, set()).add(product)
    for start in range(0, len(queries), _CHUNK):
        scores = np.round(queries[start : start + _CHUNK] @ products[among].T, 6)
        nearest = among[np.argsort(-scores, axis=1, kind="stable")[:, :depth]]
        for row, candidates in enumerate(nearest.tolist(), start):
            kept = [p for p in candidates if p not in positives.get(row, ())]
            table[row, : len(kept)] = kept
            counts[row] = len(kept)
    return HardNegatives(table, counts)

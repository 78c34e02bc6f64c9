"""Dense similarity and words together: how much of BM25 is added to the cosine, and fusion by rank.

Pure; knows no model and no index. The score of a product is cosine + c * BM25 / (the query's greatest BM25).
One c per model, fitted on queries that it was not trained on and that are not the test, so it follows the
shop: where words say little, c is 0 and nothing changes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.evaluation.ranking_metrics import ndcg, top

Scores = npt.NDArray[np.float32]

GRID = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0)
MIN_QUERIES = 30
RRF_K = 60  # Cormack, Clarke, Buettcher, SIGIR 2009


@dataclass(frozen=True)
class Fitted:
    """A coefficient, from how many queries it comes, and their mean nDCG@10 by coefficient."""

    coefficient: float = 0.0
    queries: int = 0
    ndcg10: tuple[float, ...] = ()


def scaled(lexical: Scores) -> Scores:
    """Return BM25 (n, m) divided by the greatest of each row; a row without any match stays 0."""
    greatest = lexical.max(axis=1, keepdims=True, initial=0.0)
    return (lexical / np.where(greatest > 0, greatest, 1.0)).astype(np.float32)


def fuse(dense: Scores, lexical: Scores, coefficient: float) -> Scores:
    """Return the fused scores (n, m) of cosines and BM25, both (n, m)."""
    return dense if coefficient == 0 else (dense + coefficient * scaled(lexical)).astype(np.float32)


def fit(
    parts: Iterable[tuple[Scores, Scores, Sequence[Mapping[str, float]]]],
    ids: Sequence[str],
    *,
    grid: Sequence[float] = GRID,
) -> Fitted:
    """Return the coefficient for queries given in parts.

    Cosines (n, m), BM25 (n, m), and each query's gains by product id. It is the smallest that loses to the
    best of the grid by less than one standard error of their paired difference. Queries without a gain do not
    count; with fewer than ``MIN_QUERIES`` it is 0: too little is known to change anything. ``ids``: the
    product of each column.
    """
    rows: list[list[float]] = []
    for dense, lexical, gains in parts:
        words = scaled(lexical)
        places = [top(dense + c * words, 10) for c in grid]
        for number, own in enumerate(gains):
            if any(gain > 0 for gain in own.values()):
                rows.append([ndcg([ids[column] for column in place[number]], own) for place in places])
    values = np.array(rows).reshape(-1, len(grid))
    if len(values) < MIN_QUERIES:
        return Fitted(queries=len(values))
    return Fitted(grid[choose(values)], len(values), tuple(np.round(values.mean(axis=0), 5).tolist()))


def choose(values: npt.NDArray[np.float64]) -> int:
    """Return the column of ``values`` (n > 1, g) that the one-standard-error rule takes.

    Columns are ordered from simple to complex.
    """
    best = int(values.mean(axis=0).argmax())
    losses = values[:, [best]] - values[:, : best + 1]
    error = losses.std(axis=0, ddof=1) / np.sqrt(len(values))
    return int(np.flatnonzero(losses.mean(axis=0) <= error)[0])


def by_rank(rankings: Sequence[Sequence[str]], k: int) -> list[str]:
    """Return at most k ids by reciprocal rank fusion of one query's rankings.

    Best first, a tie by the smaller id.

    >>> by_rank([["a", "b"], ["b", "c"]], 2)
    ['b', 'a']
    """
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, product in enumerate(ranking, 1):
            scores[product] = scores.get(product, 0.0) + 1 / (RRF_K + rank)
    return sorted(scores, key=lambda product: (-scores[product], product))[:k]

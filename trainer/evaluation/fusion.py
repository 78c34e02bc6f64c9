"""How much each part of the score weighs, fitted to queries, and fusion by rank. Pure; knows no model.

The coefficients of a model are fitted on queries that it was not trained on and that are not the test, so
they follow the shop: where a part says little, its coefficient is 0 and nothing changes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from retrieval.ranking import DENSE, Parts
from trainer.evaluation.ranking_metrics import ndcg

Scores = npt.NDArray[np.float32]

GRID = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.5, 2.0, 3.0, 4.0)
MIN_QUERIES = 30
ROUNDS = 4
SHOWN = 10
RRF_K = 60  # Cormack, Clarke, Buettcher, SIGIR 2009


@dataclass(frozen=True)
class Fitted:
    """The coefficients by part, from how many queries they come, and their mean nDCG@10."""

    coefficients: dict[str, float] = field(default_factory=lambda: {DENSE: 1.0})
    queries: int = 0
    ndcg10: float = 0.0


@dataclass(frozen=True)
class _Example:
    """One query: its candidates by rising id, their values (candidates, parts), and their gains."""

    ids: list[str]
    values: npt.NDArray[np.float64]
    gains: Mapping[str, float]

    def ndcg10(self, weights: npt.NDArray[np.float64]) -> float:
        first = np.argsort(-np.round(self.values @ weights, 6), kind="stable")[:SHOWN]
        return ndcg([self.ids[i] for i in first], self.gains)


def fit(
    queries: Iterable[tuple[Parts, Mapping[str, float]]],
    names: Sequence[str],
    *,
    grid: Sequence[float] = GRID,
) -> Fitted:
    """Return the coefficients of the parts ``names`` beside the cosine's 1.

    ``queries``: the values of each query's candidates by part, and its gains by product. One part after the
    other takes the smallest of the grid that loses to the best by less than one standard error of their
    paired difference, until none changes. Queries without a gain do not count; with fewer than
    ``MIN_QUERIES`` nothing is added: too little is known to change anything.
    """
    order = [DENSE, *names]
    examples = [
        _example(parts, gains, order) for parts, gains in queries if any(gain > 0 for gain in gains.values())
    ]
    if len(examples) < MIN_QUERIES:
        return Fitted(queries=len(examples))
    weights = np.array([1.0, *(0.0 for _ in names)])
    found = 0.0
    for _ in range(ROUNDS):
        before = weights.copy()
        for place in range(1, len(order)):
            tried = [np.where(np.arange(len(order)) == place, value, weights) for value in grid]
            values = np.array([[example.ndcg10(one) for one in tried] for example in examples])
            taken = choose(values)
            weights, found = tried[taken], float(values[:, taken].mean())
        if np.array_equal(before, weights):
            break
    kept = {name: float(w) for name, w in zip(order, weights, strict=True) if w or name == DENSE}
    return Fitted(kept, len(examples), round(found, 5))


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


def _example(parts: Parts, gains: Mapping[str, float], order: Sequence[str]) -> _Example:
    ids = sorted(set().union(*parts.values()))
    values = np.array([[parts[name].get(i, 0.0) for name in order] for i in ids]).reshape(-1, len(order))
    return _Example(ids, values, gains)

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
Weights = npt.NDArray[np.float64]

GRID = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.5, 2.0, 3.0, 4.0)
MIN_QUERIES = 30
ROUNDS = 4
MISSED = 0.5  # with 1, a few hundred queries left out parts that other queries wanted
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
    values: Weights
    gains: Mapping[str, float]

    def ndcg10(self, weights: Weights) -> float:
        first = np.argsort(-np.round(self.values @ weights, 6), kind="stable")[:SHOWN]
        return ndcg([self.ids[i] for i in first], self.gains)


def fit(
    queries: Iterable[tuple[Parts, Mapping[str, float]]],
    names: Sequence[str],
    *,
    grid: Sequence[float] = GRID,
) -> Fitted:
    """Return the coefficients of the parts ``names`` beside the cosine's 1.

    ``queries``: the values of each query's candidates by part, and its gains by product. From equal voices
    on, one part after the other takes the best of the grid, the smallest of equals, until none changes; then
    the part that is missed least is left out, if without it less is lost than ``MISSED`` standard errors of
    the paired difference, and the others are fitted again. Queries without a gain do not count; with fewer
    than ``MIN_QUERIES`` nothing is added: too little is known to change anything.
    """
    order = [DENSE, *names]
    examples = [
        _example(parts, gains, order) for parts, gains in queries if any(gain > 0 for gain in gains.values())
    ]
    if len(examples) < MIN_QUERIES:
        return Fitted(queries=len(examples))
    weights = _best(examples, np.ones(len(order)), grid)
    while (fewer := _without_the_least(examples, weights)) is not None:
        weights = _best(examples, fewer, grid)
    kept = {name: float(w) for name, w in zip(order, weights, strict=True) if w or name == DENSE}
    return Fitted(kept, len(examples), round(float(_values(examples, weights).mean()), 5))


def _best(examples: Sequence[_Example], weights: Weights, grid: Sequence[float]) -> Weights:
    """Return the coefficients by coordinate ascent; those that are 0 stay 0, and the cosine's stays 1."""
    for _ in range(ROUNDS):
        before = weights
        for place in np.flatnonzero(before[1:]) + 1:
            tried = [np.where(np.arange(len(weights)) == place, value, weights) for value in grid]
            weights = tried[int(np.argmax([_values(examples, one).mean() for one in tried]))]
        if np.array_equal(before, weights):
            break
    return weights


def _without_the_least(examples: Sequence[_Example], weights: Weights) -> Weights | None:
    """Return the coefficients without the part that is missed least, None where each is missed."""
    there = _values(examples, weights)
    missed: list[tuple[float, Weights]] = []
    for place in np.flatnonzero(weights[1:]) + 1:
        fewer = np.where(np.arange(len(weights)) == place, 0.0, weights)
        lost = there - _values(examples, fewer)
        error = float(lost.std(ddof=1)) / np.sqrt(len(lost))
        if lost.mean() <= MISSED * error:
            missed.append((float(lost.mean() / max(error, 1e-12)), fewer))
    return min(missed, key=lambda one: one[0])[1] if missed else None


def _values(examples: Sequence[_Example], weights: Weights) -> Weights:
    return np.array([example.ndcg10(weights) for example in examples])


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

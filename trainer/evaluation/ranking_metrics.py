"""Ranking metrics of one query, the list of those that every ranking is scored by, and the order of scores.

Pure, numpy only. Gains are graded and linear, as in trec_eval; a product without a gain counts 0. Ties are
broken by position, so callers sort ids first.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


def top(scores: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
    """Return (n, min(k, m)) column numbers of the highest scores (n, m) per row.

    Best first, ties by the smaller number. Scores are compared to six decimals, so that the noise of a matrix
    product decides nothing.
    """
    scores = np.round(scores, 6)
    k = min(k, scores.shape[1])
    best = np.zeros((len(scores), k), dtype=np.int64)
    if not k:
        return best
    for number, row in enumerate(scores):
        floor = np.partition(row, len(row) - k)[len(row) - k]
        candidates = np.flatnonzero(row >= floor)
        best[number] = candidates[np.argsort(-row[candidates], kind="stable")[:k]]
    return best


def ndcg(ranked: Sequence[str], gains: Mapping[str, float], k: int = 10) -> float:
    """Return the normalised discounted gain of the first k.

    1 is the best order there is, 0.0 when nothing has a gain.

    >>> ndcg(["b", "a"], {"a": 1.0, "b": 1.0})
    1.0
    """
    ideal = _discounted(sorted(gains.values(), reverse=True)[:k])
    return _discounted([gains.get(product, 0.0) for product in ranked[:k]]) / ideal if ideal > 0 else 0.0


def recall(ranked: Sequence[str], gains: Mapping[str, float], k: int = 50) -> float:
    """Return the share of the products with a gain that are among the first k; 0.0 when there are none."""
    relevant = {product for product, gain in gains.items() if gain > 0}
    return len(relevant.intersection(ranked[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranked: Sequence[str], gains: Mapping[str, float]) -> float:
    """Return 1 / rank of the first product with a gain; 0.0 when none is in the list."""
    return next((1 / rank for rank, product in enumerate(ranked, 1) if gains.get(product, 0.0) > 0), 0.0)


def best_in_top(ranked: Sequence[str], gains: Mapping[str, float], k: int = 10) -> bool:
    """Say whether a product with the greatest gain is among the first k."""
    greatest = max(gains.values(), default=0.0)
    return greatest > 0 and any(gains.get(product, 0.0) == greatest for product in ranked[:k])


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


@dataclass(frozen=True)
class RankingMetric:
    """A number of one query, the more the better.

    ``name``: its column in results; ``title``: what a person reads. ``vetoes``: the gate fails a candidate
    that is confidently worse than live by it (``docs/gate.md``).
    """

    name: str
    title: str
    of: Callable[[Sequence[str], Mapping[str, float]], float]
    vetoes: bool = False


# The only list: results, summaries, pages and tables, and the gate's rows of further metrics follow it. The
# first one is the main one.
RANKING_METRICS = (
    RankingMetric("ndcg10", "nDCG@10", ndcg),
    RankingMetric("recall50", "recall@50", recall, vetoes=True),
    RankingMetric("mrr", "MRR", reciprocal_rank, vetoes=True),
)

"""What to expect of training with so many pairs: how a run will go, how long it takes, and how many test queries a verdict needs. Pure.

Rates and spreads are measurements (docs/training.md), so the answers are orders of magnitude. Knows no topic and no model.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from schemas.settings import TrainerSettings
from trainer.plan import plan

SIZES = (500, 5_000, 50_000, 500_000)
# Pairs per second of training, measured on two shared cores, top layers only; a GPU's is not measured yet.
CPU_PAIRS_PER_S = 60
# Standard deviation over queries of the difference in nDCG@10 of two models of one family: .23 for trained and untrained, 935 queries.
SPREAD = 0.25


@dataclass(frozen=True)
class Advice:
    """How a full retrain on so many pairs goes. ``minutes`` None: unknown on this device."""

    pairs: int
    steps: int
    batch_size: int
    passes: float
    minutes: float | None
    expect: str


def advise(pairs: int, settings: TrainerSettings, device: str) -> Advice:
    """Return what a run with this many pairs does and what can be expected of it."""
    if pairs < settings.min_train_pairs:
        expect = f"a run is skipped: at least {settings.min_train_pairs} pairs are needed. BM25 and the untrained model serve"
        return Advice(pairs, 0, 0, 0.0, 0.0, expect)
    chosen = plan(settings, new_pairs=pairs, old_pairs=0, from_live=False, device=device)
    seen = chosen.steps * chosen.batch_size
    minutes = seen / CPU_PAIRS_PER_S / 60 if device == "cpu" else None
    return Advice(pairs, chosen.steps, chosen.batch_size, round(seen / pairs, 2), minutes, _expected(pairs))


def queries_needed(gain: float, *, spread: float = SPREAD, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return how many test queries show a true ``gain`` in nDCG@10 with this power, one-sided, if differences spread by ``spread``.

    >>> queries_needed(0.05)
    155
    """
    normal = NormalDist()
    return math.ceil(((normal.inv_cdf(1 - alpha) + normal.inv_cdf(power)) * spread / gain) ** 2)


def _expected(pairs: int) -> str:
    if pairs < 1_500:
        return "a first gain on queries like those trained; most verdicts are inconclusive for lack of test queries, and words still matter"
    if pairs < 15_000:
        return "a clear gain over the untrained model, also on queries never trained; weekly or daily runs are enough"
    if pairs < 150_000:
        return "more of it than with less (not measured here); train from live on what is new, with a full retrain now and then"
    return "more pairs than one CPU passes through in a run (max_steps): train on a GPU, or from live on what is new"

"""What to expect of training with so many pairs: how a run will go and how long it takes. Pure.

Rates are measurements (docs/training.md), so the answers are orders of magnitude. Knows no topic and no
model.
"""

from dataclasses import dataclass

from schemas.settings import TrainerSettings
from trainer.learning.plan import plan

SIZES = (500, 5_000, 50_000, 500_000)
# Pairs per second of training, measured on two shared cores, top layers only; a GPU's is not measured yet.
CPU_PAIRS_PER_S = 60


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
        expect = (
            f"a run is skipped: at least {settings.min_train_pairs} pairs are needed; the pretrained model "
            "serves"
        )
        return Advice(pairs, 0, 0, 0.0, 0.0, expect)
    chosen = plan(settings, new_pairs=pairs, old_pairs=0, from_live=False, device=device)
    seen = chosen.steps * chosen.batch_size
    minutes = seen / CPU_PAIRS_PER_S / 60 if device == "cpu" else None
    return Advice(pairs, chosen.steps, chosen.batch_size, round(seen / pairs, 2), minutes, _expected(pairs))


def _expected(pairs: int) -> str:
    if pairs < 1_500:
        return (
            "a first gain on queries like those trained; most verdicts are inconclusive for lack of test "
            "queries, and words still matter"
        )
    if pairs < 15_000:
        return (
            "a clear gain over the pretrained model, also on queries never trained; weekly or daily runs "
            "are enough"
        )
    if pairs < 150_000:
        return (
            "more of it than with less (not measured here); train from live on what is new, with a full "
            "retrain now and then"
        )
    return "hours on a CPU, and not measured here: train on a GPU, or from live on what is new"

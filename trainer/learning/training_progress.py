"""What is said of each step of a training, and how its validation is scored.

Pure but for the clock of the rate.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, SupportsFloat

import numpy as np
import numpy.typing as npt

from trainer.evaluation.ranking_metrics import ndcg, top
from trainer.learning.plan import Plan


class TrainingError(RuntimeError):
    """Training cannot give a model: the loss is not finite, or there is nothing to train on."""


@dataclass(frozen=True)
class TrainingStep:
    """One step of training, for whoever shows progress."""

    step: int
    steps: int
    loss: float
    pairs_per_s: float
    eta_s: float


class HasLast(Protocol):
    """A loss that remembers its last value."""

    @property
    def last(self) -> SupportsFloat:
        """The loss of the last batch."""


class StepReport:
    """Follows a training: the loss of each step must be finite.

    The rate counts from where this process began.
    """

    def __init__(self, loss: HasLast, plan: Plan, progress: Callable[[TrainingStep], None]) -> None:
        self._loss, self._plan, self._progress = loss, plan, progress
        self._began, self._from = time.perf_counter(), 0
        self.first = self.last = float("nan")

    def begin(self, step: int) -> None:
        """Start the clock after ``step`` steps, which an earlier process made."""
        self._began, self._from = time.perf_counter(), step

    def step(self, number: int) -> None:
        """Report that step ``number`` is done. Raises ``TrainingError`` when its loss is not finite."""
        value = float(self._loss.last)
        if not np.isfinite(value):
            raise TrainingError(
                f"the loss is {value} at step {number} of {self._plan.steps}; nothing was saved"
            )
        self.first = value if np.isnan(self.first) else self.first
        self.last = value
        size = self._plan.batch_size
        rate = (number - self._from) * size / max(1e-9, time.perf_counter() - self._began)
        self._progress(
            TrainingStep(number, self._plan.steps, value, rate, (self._plan.steps - number) * size / rate)
        )


def inner_scores(
    queries: npt.NDArray[np.float32],
    products: npt.NDArray[np.float32],
    numbers: npt.NDArray[np.int64],
    gains: Sequence[Mapping[int, float]],
) -> npt.NDArray[np.float64]:
    """Return the nDCG@10 (n,) of queries (n, dim) over products (m, dim), unit rows.

    The products have these ``numbers`` (m,). ``gains``: of each query, by product number.
    """
    places = numbers[top(queries @ products.T, 10)].tolist()
    named = [{str(product): gain for product, gain in own.items()} for own in gains]
    return np.array([ndcg([str(p) for p in place], own) for place, own in zip(places, named, strict=True)])


def latest_sound(scores: Mapping[int, npt.NDArray[np.float64]]) -> int:
    """Return the latest step whose mean is as good as the best one's.

    Worse by at most the standard error of their difference. ``scores`` (n,) by step, of the same queries.
    Nobody is taught these queries; what is taught, later steps know better. So an earlier step is kept only
    where the later one has shown harm (the one-standard-error rule of Breiman et al., 1984).
    """
    best = max(scores, key=lambda step: (scores[step].mean(), step))

    def harmed(step: int) -> bool:
        worse = scores[best] - scores[step]
        return bool(worse.mean() > worse.std() / np.sqrt(len(worse)))

    return max(step for step in scores if step >= best and not harmed(step))

"""How fast a run goes and how long it still takes, as far as its reports tell. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from schemas.training import TrainingRun

_LONGEST_S = 30 * 86_400.0


@dataclass(frozen=True)
class RunPace:
    """``per_min``: the share of the whole that is done in a minute; ``to_go`` at this rate."""

    per_min: float
    to_go: timedelta


def pace(first: TrainingRun | None, now: TrainingRun) -> RunPace | None:
    """Return the rate between two reports of a run; None where nothing moved between them, or it has ended.

    A run's steps are of different speeds: before the evaluation it tells little of that.
    """
    if first is None or now.state.terminal:
        return None
    passed_s, gained = (now.at - first.at).total_seconds(), now.progress - first.progress
    if not (passed_s > 0 and gained > 0):
        return None
    left_s = max(0.0, 1.0 - now.progress) * passed_s / gained
    return RunPace(60 * gained / passed_s, timedelta(seconds=min(_LONGEST_S, left_s)))

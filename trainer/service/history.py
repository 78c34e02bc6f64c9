"""What the trainer knows of its past, read from ``training-runs``.

Which triggers were taken, which runs are not over. Pure.
"""

from collections.abc import Iterable
from typing import Self

from schemas.training import RunState, TrainingRun, Trigger

_REJECTED = frozenset({RunState.FAILED_GATE, RunState.INCONCLUSIVE})


class History:
    """The newest state of every run, by run id. Run ids sort by time."""

    def __init__(self, runs: Iterable[TrainingRun] = ()) -> None:
        self._runs: dict[str, TrainingRun] = {}
        self._triggers: set[str] = set()
        self._keys: set[str] = set()
        for run in runs:
            self.record(run)

    def record(self, run: TrainingRun) -> Self:
        """Take a state in. One that is older than what is known changes nothing but the triggers."""
        known = self._runs.get(run.run_id)
        if known is None or run.seq > known.seq:
            self._runs[run.run_id] = run
        self._triggers.update(run.trigger_ids)
        self._keys.update(run.dedup_keys)
        return self

    @property
    def runs(self) -> list[TrainingRun]:
        """The newest state of every run."""
        return list(self._runs.values())

    def get(self, run_id: str) -> TrainingRun | None:
        """Return the newest state of a run."""
        return self._runs.get(run_id)

    def taken(self, trigger: Trigger) -> bool:
        """Say whether a run has answered this trigger, or one with the same dedup_key.

        Whatever became of the run.
        """
        return trigger.trigger_id in self._triggers or (
            trigger.dedup_key is not None and trigger.dedup_key in self._keys
        )

    def next_seq(self, run_id: str) -> int:
        """Return the number of the next state of a run."""
        known = self._runs.get(run_id)
        return known.seq + 1 if known else 0

    def unfinished(self) -> list[TrainingRun]:
        """Return the runs without a terminal state: those that had begun first, then by age."""
        runs = [run for run in self._runs.values() if not run.state.terminal]
        return sorted(runs, key=lambda run: (run.state == RunState.QUEUED, run.run_id))

    def needs_full_retrain(self, rejected: int) -> bool:
        """Say whether the last ``rejected`` judged candidates were all rejected.

        Then the live model is no good start.
        """
        trained = (run for _, run in sorted(self._runs.items()) if run.kind == "full")
        judged = [r for r in trained if r.state in _REJECTED or r.state == RunState.DEPLOYED][-rejected:]
        return len(judged) == rejected and all(run.state in _REJECTED for run in judged)

    def __len__(self) -> int:
        return len(self._runs)

"""What served at a moment, who or what had promoted it, and on what evidence.

Read from ``decisions``, which is kept for ever. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.training import Decision, TrainingRun


class MomentError(ValueError):
    """A text that is no moment; says what is expected."""


@dataclass(frozen=True)
class ServingPeriod:
    """A stretch of time in which one generation served.

    ``until`` None: it still does. ``evidence``: the gate's decision on its model.
    """

    generation: int
    since: datetime
    until: datetime | None
    actor: str
    cause: str
    decision_id: str
    run_id: str | None
    evidence: Decision | None

    def facts(self) -> dict[str, object]:
        """Return it as plain values, the evidence by its id and verdict."""
        return {
            "generation": self.generation, "since": self.since.isoformat(),
            "until": self.until.isoformat() if self.until else None, "actor": self.actor, "cause": self.cause,
            "decision_id": self.decision_id, "run_id": self.run_id,
            "evidence": {"decision_id": self.evidence.decision_id, "verdict": self.evidence.verdict,
                         "reasons": self.evidence.reasons}
            if self.evidence else None,
        }  # fmt: skip


def moment(text: str) -> datetime:
    """Return an ISO time as UTC; without a zone it is UTC. Raises ``MomentError``."""
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise MomentError(f"{text!r} is no time; expected ISO 8601, such as 2026-03-01T12:00Z") from error


def history(decisions: Sequence[Decision]) -> list[ServingPeriod]:
    """Return which generation served when, oldest first. Decisions written twice after a crash count once."""
    seen: dict[str, Decision] = {}
    for decision in decisions:
        if decision.generation_after is not None and decision.generation_after != decision.generation_before:
            seen.setdefault(decision.decision_id, decision)
    changes = sorted(seen.values(), key=lambda d: (d.at, d.decision_id))
    judged = {d.run_id: d for d in decisions if d.run_id and d.decision_id == d.run_id}
    ends: list[datetime | None] = [*(d.at for d in changes[1:]), None][: len(changes)]
    return [
        ServingPeriod(
            generation=d.generation_after or 0, since=d.at, until=end, actor=d.actor,
            cause="; ".join(d.reasons), decision_id=d.decision_id, run_id=d.run_id,
            evidence=judged.get(d.run_id or ""),
        )
        for d, end in zip(changes, ends, strict=True)
    ]  # fmt: skip


def serving_at(decisions: Sequence[Decision], at: datetime) -> ServingPeriod | None:
    """Return what served at a moment; None before the first generation."""
    return next((s for s in reversed(history(decisions)) if s.since <= at), None)


def runs_at(runs: Iterable[TrainingRun], at: datetime) -> list[tuple[TrainingRun, str]]:
    """Return the runs that had begun by then, each with its state at that moment.

    That in which it ended, or "in progress".
    """
    known = [(run, _began(run)) for run in runs]
    return [
        (run, run.state.value if run.state.terminal and run.at <= at else "in progress")
        for run, start in known
        if start <= at
    ]


def _began(run: TrainingRun) -> datetime:
    """Return when a run was taken: its id begins with that second."""
    try:
        return datetime.strptime(run.run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return run.at

"""What the HTTP API tells operators, and takes from them, beside the messages of the topics."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import ControlTime, Fact
from schemas.releases import DeploymentCommand, Kind, LivePointer, Release
from schemas.rules import MerchandisingRule
from schemas.training import Decision, Score, TrainingRun, Trigger

# What to give as ``after`` for the next page; None on the last.
Next = Annotated[str | None, Field(description="Give it as `after` for the next page; null on the last.")]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class RunTold(TrainingRun):
    """A run, and what each part of its candidate's score adds, where it came to a decision."""

    part_gains: dict[str, dict[str, Score]] = {}


class RunsAnswer(Fact):
    """Training runs, the newest first."""

    runs: list[TrainingRun]
    next: Next = None


class ReleasesAnswer(Fact):
    """What serves, and the generations, the newest first."""

    live: LivePointer | None
    releases: list[Release]
    next: Next = None


class DecisionSummary(Fact):
    """A decision, by its id and its verdict."""

    decision_id: str
    verdict: str
    reasons: list[str] = []


class ServedAnswer(Fact):
    """Which generation served at a moment, from when to when, and what had promoted it.

    ``evidence`` is the gate's decision on its model; none for the first one, or one that had served before.
    """

    generation: int
    since: Moment
    until: Moment | None
    actor: str
    cause: str
    decision_id: str
    run_id: str | None
    evidence: DecisionSummary | None


class DecisionsAnswer(Fact):
    """Decisions with all their evidence, the newest first."""

    decisions: list[Decision]
    next: Next = None


class EvaluationTold(Fact):
    """What the evaluation of one candidate has measured, and the verdict on it."""

    decision_id: str
    run_id: str | None
    kind: Kind
    at: ControlTime
    verdict: str
    candidate_sha256: str | None
    generation_before: int | None
    generation_after: int | None
    ndcg10: dict[str, dict[str, Score]]
    part_gains: dict[str, dict[str, Score]]


class EvaluationsAnswer(Fact):
    """Evaluations, the newest first."""

    evaluations: list[EvaluationTold]
    next: Next = None


class TriggerTold(Trigger):
    """A trigger, and what became of it.

    ``taken``: ``run_id`` answers it, or has answered an earlier one of its ``dedup_key``; ``refused``: why.
    ``requested``: the trainer has not come to it, or there was nothing to do.
    """

    state: Literal["requested", "taken", "refused"]
    run_id: str | None = None
    refused: str | None = None


class TriggersAnswer(Fact):
    """Triggers, the newest first."""

    triggers: list[TriggerTold]
    next: Next = None


class CommandTold(DeploymentCommand):
    """A deployment command, and what became of it.

    ``refused``: ``reasons`` say why. ``unknown``: its time is over, and what the topics still hold does not
    tell. ``note``: what whoever sent it should know of its effect.
    """

    state: Literal["pending", "done", "refused", "unknown"]
    reasons: list[str] = []
    note: str | None = None


class CommandsAnswer(Fact):
    """Deployment commands, the newest first."""

    commands: list[CommandTold]
    next: Next = None


class RuleTold(MerchandisingRule):
    """A rule, and in words whether it holds."""

    state: str


class RulesAnswer(Fact):
    """Rules, the strongest first; under ``no_rules`` the keys of what cannot be applied, and why."""

    rules: list[RuleTold]
    no_rules: dict[str, str]
    next: Next = None

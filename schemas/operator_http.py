"""What the HTTP API tells operators, and takes from them, beside the messages of the topics."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from schemas.base import NO_CONTROL, ControlTime, Fact, Id, Message
from schemas.bounds import (
    BOOST,
    EVENT_ID_CHARS,
    JUDGED_AT_ONCE,
    NAME_CHARS,
    PARAMS,
    QUERY_CHARS,
    REASON_CHARS,
    RULE_IDS,
)
from schemas.judged_queries import JudgedText, RatedQuery, Relevance, SetName
from schemas.rejections import Reason
from schemas.releases import Counted, DeploymentCommand, Generation, Kind, LivePointer, Release
from schemas.rules import MerchandisingRule
from schemas.search import Filters, RuleAction
from schemas.training import Decision, ParamName, ParamNumber, ParamText, Score, TrainingRun, Trigger

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


Actor = Annotated[
    str, Field(min_length=1, max_length=NAME_CHARS, pattern=r"\S", description="Who asks; history shows it.")
]
Why = Annotated[str, Field(max_length=REASON_CHARS, description="Kept in the history; needed with force.")]
Waits = Annotated[
    float, Field(ge=0, le=60, description="Seconds to wait for the effect; without, 202 says where to look.")
]


class Wish(Message):
    """What an operator asks for. A name that is not known is refused."""

    model_config = ConfigDict(extra="forbid")

    actor: Actor


class MarkWish(Wish):
    """A change of what serves; under a ``command_id`` that was sent before it is not made again."""

    command_id: Id | None = None
    reason: Why = ""
    wait_s: Waits = 0.0


class PromoteWish(MarkWish):
    """Serve a generation. ``expected_generation``: refuse unless that one is live."""

    expected_generation: Generation | None = None
    force: bool = False


class RollbackWish(PromoteWish):
    """Go back: to a generation, with ``model`` to the newest of another model, else to the previous one."""

    to: Generation | None = None
    model: bool = False


class CancelWish(Wish):
    """End a run that waits or is in progress."""

    trigger_id: Id | None = None


class TriggerWish(Wish):
    """A run; the fields are those of a trigger. Under a ``trigger_id`` that was sent before none is begun."""

    trigger_id: Id | None = None
    dedup_key: Annotated[str, Field(max_length=200)] | None = None
    base: Literal["live", "pristine"] = "live"
    force: bool = False
    force_reason: Why | None = None
    dry_run: bool = False
    refresh: bool = False
    params: Annotated[dict[ParamName, ParamNumber | float | ParamText | bool], Field(max_length=PARAMS)] = {}


class RuleWish(Wish):
    """A merchandising rule; one of this ``rule_id`` is replaced."""

    rule_id: Id | None = None
    action: RuleAction
    query: Annotated[str, Field(max_length=QUERY_CHARS)] | None = None
    product_ids: Annotated[list[Id], Field(max_length=RULE_IDS)] = []
    filters: Filters = []
    boost: Annotated[float, Field(gt=0, le=BOOST)] | None = None
    since: ControlTime | None = None
    until: ControlTime | None = None
    reason: Why = ""


class RuleWritten(RuleTold):
    """A rule that was written; ``replaced``: in place of another."""

    replaced: bool


class RuleRemoved(Fact):
    """That a rule was taken out, by whom and why."""

    removed: str
    actor: str
    reason: str


class RatingWish(Message):
    """One rating; ``relevance`` null takes it out."""

    model_config = ConfigDict(extra="forbid")

    query: JudgedText
    product_id: Id
    relevance: Relevance | None


class JudgmentsWish(Wish):
    """Ratings for a named set: they take the place of those of the same query and product, others stay."""

    name: SetName
    judgments: Annotated[list[RatingWish], Field(min_length=1, max_length=JUDGED_AT_ONCE)]


class JudgmentsWritten(Fact):
    """What became of a set: its queries that were written, those that are gone, and what it holds now."""

    name: str
    written: int
    removed: int
    queries: int
    ratings: int


class JudgmentSet(Fact):
    """A named set of judgments: how much it holds, and who wrote to it last, when."""

    name: str
    queries: int
    ratings: int
    actor: str
    at: ControlTime


class JudgmentsAnswer(Fact):
    """Sets of judgments, by name."""

    judgments: list[JudgmentSet]
    next: Next = None


class JudgmentSetAnswer(Fact):
    """The judged queries of one set, in alphabetical order."""

    name: str
    queries: list[RatedQuery]
    next: Next = None


class QueryCount(Fact):
    """What became of the searches for one query.

    ``unanswered``: nothing was shown, or nothing was told of it. ``clicked``: something shown was engaged
    with. ``earlier`` and ``later``: how many were among the older and the newer half of all searches.
    """

    query: str
    searches: int
    unanswered: int
    clicked: int
    earlier: int
    later: int


class QueriesFound(Fact):
    """What was searched for: so many ``searches`` from ``since`` to ``until``, as it was read at a time."""

    read_at: ControlTime
    since: ControlTime | None
    until: ControlTime | None
    searches: int
    queries: list[QueryCount]


class QueriesAnswer(QueriesFound):
    """The same, in pages."""

    next: Next = None


class ForgetWish(Message):
    """A shopper to forget, named as its events name it: exactly one of the three."""

    model_config = ConfigDict(extra="forbid")

    event_id: Annotated[str, Field(min_length=1, max_length=EVENT_ID_CHARS, pattern=NO_CONTROL)] | None = None
    client_id: Id | None = None
    session_id: Id | None = None
    user_id: Id | None = None


class ForgetAsked(Fact):
    """That the request is on the topic; the stream carries it out."""

    event_id: str
    state: Literal["requested"] = "requested"


class LetterTold(Fact):
    """A dead letter: what was refused and why. ``cut``: a part of it is kept, so it cannot be sent again.

    ``errors`` is a JSON list of places and messages; bytes that are no text are written out.
    """

    topic: str
    offset: int
    reason: str
    errors: str
    key: str
    value: str
    cut: bool
    replays: int


class LetterCount(Fact):
    """How many letters of a topic have a reason."""

    topic: str
    reason: str
    count: int


class LettersAnswer(Fact):
    """Dead letters of what shops send, the newest first; ``counts`` are of all that are kept here."""

    counts: list[LetterCount]
    letters: list[LetterTold]
    next: Next = None


class ReplayWish(Message):
    """Which letters go back to where they came from: one by its offset, else all of a topic and a reason."""

    model_config = ConfigDict(extra="forbid")

    topic: Literal["searches", "interactions", "erasures", "products"]
    offset: Counted | None = None
    reason: Reason | None = None


class ReplayAnswer(Fact):
    """How many letters there were, were sent again, and may not be: cut, or sent three times already."""

    found: int
    replayed: int
    capped: int

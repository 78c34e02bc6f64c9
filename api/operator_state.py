"""What the topics of operators say, kept in memory within bounds, as the records come. Pure.

What anybody else has written there and cannot be read says nothing. Kafka keeps all; here are the newest.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from api.newest import Newest
from broker.dead_letters import reason_of
from broker.guarding import judged
from broker.records import Record
from broker.release_log import ReleaseLog
from operations.command_outcome import Outcome, aborted
from operations.rule_book import under
from schemas.base import UNREADABLE
from schemas.judged_queries import RatedQuery, judged_key
from schemas.operator_http import EvaluationTold
from schemas.releases import DeploymentCommand, LivePointer, SearcherReport, rejection_id
from schemas.rules import MerchandisingRule
from schemas.settings import Settings
from schemas.topics import (
    DECISIONS,
    DEPLOYMENT_COMMANDS,
    JUDGMENTS,
    RELEASES,
    RULES,
    SEARCHER_REPORTS,
    TRAINING_RUNS,
    TRAINING_TRIGGERS,
    dead_letter_name,
)
from schemas.training import Decision, RunState, TrainingRun, Trigger

M = TypeVar("M")
RUNS_KEPT = ASKED_KEPT = 5000
DECISIONS_KEPT = 10_000
EVALUATIONS_KEPT = 2000
SEARCHERS_KEPT = 1000
DECISION_BYTES = 48 << 20
RULES_KEPT = 20_000
JUDGMENT_BYTES = 8 << 20
# What of a decision is no history of what served.
_EVIDENCE = ("checks", "ndcg10", "part_gains", "examples", "candidate_ranking", "evidence", "limits")


class OperatorState:
    """Feed it with the records of ``topics``, those of one topic in their order.

    ``searchers`` are the last reports of those that have not said goodbye. ``decisions`` are whole, as JSON;
    ``history`` are more of them without their evidence. ``rules`` has under each key a rule of any
    deployment, or why what lies there is none. ``seen_first``: each run that goes on, as it was when it had
    begun. ``judged`` are the queries of all judgment sets by set and
    query, ``judgments_left`` the bytes that more of them may take; ``judgments_left_out``: the topic has some
    that found no room.
    """

    def __init__(self, settings: Settings) -> None:
        self.deployment = settings.deployment
        self.releases = ReleaseLog(settings.deployment)
        self.runs: Newest[TrainingRun] = Newest(RUNS_KEPT)
        self.triggers: Newest[Trigger] = Newest(ASKED_KEPT)
        self.commands: Newest[DeploymentCommand] = Newest(ASKED_KEPT)
        self.history: Newest[Decision] = Newest(DECISIONS_KEPT)
        self.decisions: Newest[bytes] = Newest(DECISIONS_KEPT, DECISION_BYTES)
        self.evaluations: Newest[EvaluationTold] = Newest(EVALUATIONS_KEPT)
        self.searchers: Newest[SearcherReport] = Newest(SEARCHERS_KEPT)
        self.rules: dict[str, MerchandisingRule | str] = {}
        self.seen_first: Newest[TrainingRun] = Newest(ASKED_KEPT)
        self.judged: dict[tuple[str, str], RatedQuery] = {}
        self.judgments_left = JUDGMENT_BYTES
        self.judgments_left_out = False
        self._run_of: Newest[str] = Newest(10 * ASKED_KEPT)
        self._outcomes: Newest[Outcome] = Newest(2 * ASKED_KEPT)
        self._refused: Newest[str] = Newest(ASKED_KEPT)
        self._takes: dict[str, Callable[[Record], None]] = {
            settings.topic(name): take
            for name, take in (
                (RELEASES.name, self._take_release),
                (TRAINING_RUNS.name, self._take_run),
                (TRAINING_TRIGGERS.name, self._take_trigger),
                (DEPLOYMENT_COMMANDS.name, self._take_command),
                (DECISIONS.name, self._take_decision),
                (RULES.name, self._take_rule),
                (JUDGMENTS.name, self._take_judgments),
                (SEARCHER_REPORTS.name, self._take_report),
                (dead_letter_name(TRAINING_TRIGGERS.name), self._take_letter),
                (dead_letter_name(DEPLOYMENT_COMMANDS.name), self._take_letter),
            )
        }

    @property
    def topics(self) -> list[str]:
        """The topics that it is fed from, with their prefix."""
        return list(self._takes)

    def take(self, record: Record) -> None:
        """Take a record in."""
        judged(self._takes[record.topic], record)

    def run_of(self, trigger: Trigger) -> TrainingRun | None:
        """Return the run that answers a trigger, or one before it with its ``dedup_key``."""
        keys = (trigger.trigger_id, *([_dedup(trigger.dedup_key)] if trigger.dedup_key else ()))
        found = next((run_id for key in keys if (run_id := self._run_of.get(key))), None)
        return None if found is None else self.runs.get(found)

    def refusal_of(self, trigger_id: str) -> str | None:
        """Return why a trigger was refused, None where it was not."""
        return self._refused.get(trigger_id)

    def outcome_of(self, command: DeploymentCommand) -> Outcome | None:
        """Return what became of a command; None while nothing did."""
        if (known := self._outcomes.get(command.command_id)) is not None:
            return known
        if (why := self._refused.get(command.command_id)) is not None:
            return Outcome(done=False, reasons=[why])
        if command.action == "abort" and any(aborted(command, release) for release in self.releases.releases):
            return Outcome(done=True)
        return None

    def _take_release(self, record: Record) -> None:
        said = self.releases.take(record)
        if isinstance(said, LivePointer):
            for command_id in {*said.carried_out, *([said.command_id] if said.command_id else ())}:
                self._outcomes.put(command_id, Outcome(done=True))

    def _take_run(self, record: Record) -> None:
        run = _readable(TrainingRun.from_json, record)
        if run is None:
            if record.value is None and record.key is not None:
                self.runs.drop(record.key.decode(errors="replace"))
            return
        self.runs.put(run.run_id, run)
        if run.state.terminal:
            self.seen_first.drop(run.run_id)
        elif run.state is not RunState.QUEUED and self.seen_first.get(run.run_id) is None:
            self.seen_first.put(run.run_id, run)
        for key in (*run.trigger_ids, *map(_dedup, run.dedup_keys)):
            self._run_of.put(key, run.run_id)

    def _take_trigger(self, record: Record) -> None:
        if (trigger := _readable(Trigger.from_json, record)) is not None:
            self.triggers.put(trigger.trigger_id, trigger)

    def _take_command(self, record: Record) -> None:
        command = _readable(DeploymentCommand.from_json, record)
        if command is not None and command.deployment == self.deployment:
            self.commands.put(command.command_id, command)

    def _take_decision(self, record: Record) -> None:
        decision = _readable(Decision.from_json, record)
        if decision is None:
            return
        whole = decision.model_dump_json().encode()
        self.decisions.put(decision.decision_id, whole, len(whole))
        empty = {name: Decision.model_fields[name].get_default() for name in _EVIDENCE}
        self.history.put(decision.decision_id, decision.model_copy(update=empty))
        if decision.ndcg10:
            self.evaluations.put(
                decision.decision_id, EvaluationTold.model_validate(decision, from_attributes=True)
            )
        refused = decision.decision_id.removeprefix(rejection_id(self.deployment, ""))
        if refused != decision.decision_id:
            self._outcomes.put(refused, Outcome(done=False, reasons=decision.reasons))

    def _take_rule(self, record: Record) -> None:
        key, rule = under(record.key, record.value or b"")
        if record.value is None:
            self.rules.pop(key, None)
        elif key in self.rules or len(self.rules) < RULES_KEPT:
            self.rules[key] = rule

    def _take_judgments(self, record: Record) -> None:
        name, _, query = (record.key or b"").decode(errors="replace").partition("\t")
        before = self.judged.pop((name, query), None)
        self.judgments_left += judgment_size(query, before.ratings) if before else 0
        judged = _readable(RatedQuery.from_json, record)
        if judged is None or record.key != judged_key(judged.name, judged.query):
            return
        if (size := judgment_size(query, judged.ratings)) > self.judgments_left:
            self.judgments_left_out = True
            return
        self.judged[name, query] = judged
        self.judgments_left -= size

    def _take_report(self, record: Record) -> None:
        report = _readable(SearcherReport.from_json, record)
        if report is None:
            self.searchers.drop((record.key or b"").decode(errors="replace"))
        elif report.deployment in {None, self.deployment}:  # what it signs with is none of ours
            self.searchers.put(report.searcher_id, report.model_copy(update={"seal_key": None}))

    def _take_letter(self, letter: Record) -> None:
        message = letter.header("__connect.errors.exception.message") or b""
        why = f"{reason_of(letter)}: {message.decode(errors='replace')}"
        if (trigger := _readable(Trigger.from_json, letter)) is not None:
            self._refused.put(trigger.trigger_id, why)
        if (command := _readable(DeploymentCommand.from_json, letter)) is not None:
            self._refused.put(command.command_id, why)


def judgment_size(query: str, ratings: Iterable[str]) -> int:
    """Return about how many bytes the ratings of a query take on the topic; without ratings none."""
    products = [len(product) + 8 for product in ratings]
    return 100 + len(query) + sum(products) if products else 0


def _dedup(key: str) -> str:
    """Return a key for a ``dedup_key``, which no id can be: those hold no control characters."""
    return f"\0{key}"


def _readable(parse: Callable[[bytes], M], record: Record) -> M | None:
    try:
        return parse(record.value) if record.value else None
    except UNREADABLE:
        return None

"""What is told of the operators' topics: the same values as the verbs print with ``--json``. Pure."""

from datetime import datetime, timedelta

from api.operator_state import OperatorState
from operations.moments import serving_at
from operations.rule_book import no_rules, own_rules
from operations.rule_words import state as state_of
from schemas.operator_http import (
    CommandTold,
    RuleTold,
    RunTold,
    ServedAnswer,
    TriggerTold,
)
from schemas.releases import DeploymentCommand
from schemas.rules import MerchandisingRule
from schemas.training import Decision, TrainingRun, Trigger

# A command that says no end of its own is waited for so long.
_PATIENCE = timedelta(minutes=10)


def run_told(state: OperatorState, run: TrainingRun) -> RunTold:
    """Return a run as one is told of alone."""
    raw = state.decisions.get(run.run_id)
    return RunTold(**run.model_dump(), part_gains=Decision.from_json(raw).part_gains if raw else {})


def served_at(state: OperatorState, at: datetime) -> ServedAnswer | None:
    """Return what served at a moment; None before the first generation."""
    served = serving_at(list(state.history)[::-1], at)
    return None if served is None else ServedAnswer.model_validate(served.facts())


def trigger_told(state: OperatorState, trigger: Trigger) -> TriggerTold:
    """Return a trigger with what became of it."""
    run, refused = state.run_of(trigger), state.refusal_of(trigger.trigger_id)
    return TriggerTold(
        **trigger.model_dump(),
        state="taken" if run else "refused" if refused else "requested",
        run_id=run.run_id if run else None,
        refused=None if run else refused,
    )


def _waits(command: DeploymentCommand, now: datetime) -> bool:
    return now <= (command.expires_at or command.at + _PATIENCE)


def command_told(state: OperatorState, command: DeploymentCommand, now: datetime) -> CommandTold:
    """Return a command with what became of it."""
    outcome = state.outcome_of(command)
    if outcome is None:
        word = "pending" if _waits(command, now) else "unknown"
    else:
        word = "done" if outcome.done else "refused"
    return CommandTold(
        **command.model_dump(),
        state=word,
        reasons=outcome.reasons if outcome else [],
    )


def rules_told(
    state: OperatorState, query: str | None, now: datetime
) -> tuple[list[RuleTold], dict[str, str]]:
    """Return the deployment's rules, the strongest first, and under which keys lies what is none, and why.

    ``query``: only the rules for it, and those for every query.
    """
    rules = own_rules(state.rules, state.deployment, query)
    return [rule_told(rule, now) for rule in rules], no_rules(state.rules)


def rule_told(rule: MerchandisingRule, now: datetime) -> RuleTold:
    """Return a rule with whether it holds."""
    return RuleTold(**rule.model_dump(), state=state_of(rule, now))

"""What an operator asks for, from a body to the record that asks it of the loop, or why not. Pure.

Ids and the clock are arguments.
"""

from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from api.bodies import HttpFault
from api.operator_state import OperatorState
from operations.command_outcome import other_model
from operations.rule_book import foreign, refusal, senseless
from schemas.absent import NOBODY
from schemas.decoding import load
from schemas.events import Erasure
from schemas.operator_http import (
    CancelWish,
    ForgetWish,
    MarkWish,
    PromoteWish,
    RollbackWish,
    RuleWish,
    TriggerWish,
)
from schemas.rejections import Rejection
from schemas.releases import DeploymentAction, DeploymentCommand
from schemas.rules import MerchandisingRule
from schemas.settings import TrainerSettings
from schemas.training import Trigger
from schemas.trigger_params import TriggerError, settings_for

W = TypeVar("W", bound=BaseModel)
# Beyond what is waited for: nothing is told as pending that comes to nothing without a word.
EXPIRY = timedelta(seconds=65)


def wish_of(body: bytes, kind: type[W]) -> W | HttpFault:
    """Return what a body asks for: 400 for no JSON object, 422 for one that cannot be asked."""
    fields = load(body)
    if isinstance(fields, Rejection):
        return HttpFault(400, "invalid_request", fields.problems[0].message)
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part)[:100] for part in first["loc"]) or "request"
        return unfit(f"{place}: {first['msg']}"[:500])


def unfit(message: str) -> HttpFault:
    """Return the refusal of what makes no sense, whatever the state of things."""
    return HttpFault(422, "unfit", message)


def conflict(message: str) -> HttpFault:
    """Return the refusal of what the state of things forbids."""
    return HttpFault(409, "conflict", message)


def command_of(
    wish: MarkWish, action: DeploymentAction, state: OperatorState, now: datetime, new_id: str
) -> DeploymentCommand | HttpFault:
    """Return the command of ``rollback``, ``pin`` and so on; of ``promote`` it lacks the generation."""
    force = isinstance(wish, PromoteWish) and wish.force
    if force and not wish.reason.strip():
        return unfit("reason: force needs one, it is kept in the history")
    target = _target(wish, state) if isinstance(wish, RollbackWish) else None
    if isinstance(target, HttpFault):
        return target
    return DeploymentCommand(
        command_id=wish.command_id or new_id,
        deployment=state.deployment,
        action=action,
        target_generation=target,
        expected_generation=wish.expected_generation if isinstance(wish, PromoteWish) else None,
        reason=wish.reason,
        force=force,
        actor=wish.actor,
        at=now,
        expires_at=now + EXPIRY,
    )


def _target(wish: RollbackWish, state: OperatorState) -> int | HttpFault | None:
    if not wish.model:
        return wish.to
    if wish.to is not None:
        return unfit("to: it or model is expected, not both")
    found = other_model(state.releases.pointer, state.releases.releases)
    return conflict("no generation of another model can serve") if found is None else found


def trigger_of(wish: TriggerWish, now: datetime, new_id: str) -> Trigger | HttpFault:
    """Return the trigger of a run. The trainer judges it once more, by its own settings."""
    trigger = Trigger(
        trigger_id=wish.trigger_id or new_id,
        requested_by=wish.actor,
        requested_at=now,
        **wish.model_dump(exclude={"actor", "trigger_id"}),
    )
    try:
        settings_for(trigger, TrainerSettings())
    except TriggerError as error:
        return unfit(str(error)[:500])
    return trigger


def cancel_of(
    wish: CancelWish, run_id: str, state: OperatorState, now: datetime, new_id: str
) -> Trigger | HttpFault:
    """Return the trigger that ends a run."""
    run = state.runs.get(run_id)
    if run is None:
        return HttpFault(404, "not_found", f"there is no run {run_id!r}")
    if run.state.terminal:
        return conflict(f"run {run_id} has ended: {run.state.value}")
    return Trigger(
        trigger_id=wish.trigger_id or new_id, requested_by=wish.actor, requested_at=now, cancels=run_id
    )


def rule_of_wish(
    wish: RuleWish, state: OperatorState, now: datetime, new_id: str
) -> MerchandisingRule | HttpFault:
    """Return the rule, if it may be written beside those that are there."""
    fields = wish.model_dump(exclude={"rule_id"})
    try:
        rule = MerchandisingRule(
            rule_id=wish.rule_id or f"{wish.action.value}-{new_id[:8]}",
            deployment=state.deployment,
            at=now,
            **fields,
        )
    except ValidationError as error:
        return unfit(error.errors()[0]["msg"].removeprefix("Value error, "))
    if (why := senseless(rule)) is not None:
        return unfit(why)
    return rule if (why := refusal(rule, state.rules)) is None else conflict(why)


def removal_fault(rule_id: str, state: OperatorState) -> HttpFault | None:
    """Return why a rule cannot be removed, or None. What is no rule may be, too."""
    if rule_id not in state.rules:
        return HttpFault(404, "not_found", f"there is no rule {rule_id!r}")
    why = foreign(state.rules[rule_id], state.deployment)
    return None if why is None else conflict(why)


def erasure_of(wish: ForgetWish, now: datetime, new_id: str) -> Erasure | HttpFault:
    """Return the request to forget a shopper."""
    named = [name for name in (wish.client_id, wish.session_id, wish.user_id) if name]
    if len(named) != 1:
        return unfit(
            "exactly one of client_id, session_id, user_id is expected: what the shopper's events name "
            "first, in this order"
        )
    if named[0] in NOBODY:
        return unfit(f"{named[0]!r} names nobody")
    return Erasure(event_id=wish.event_id or new_id, timestamp=now, **wish.model_dump(exclude={"event_id"}))

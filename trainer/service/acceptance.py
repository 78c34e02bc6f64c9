"""What becomes of a trigger.

A run of its own, a part of a run that waits, a cancellation, nothing, or a refusal. Pure. Everything is
decided at once and for good, so a trigger is read once and none holds those behind it. Runs that wait are
few, and so are the triggers of one run: who writes more than that is told so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.bounds import TRIGGERS_OF_A_RUN, WAITING_RUNS
from schemas.rejections import Reason, Rejection
from schemas.settings import TrainerSettings
from schemas.training import RunState, TrainingRun, Trigger
from schemas.trigger_params import TriggerError
from trainer.run.request import Request
from trainer.run.triggers import refusal, run_id_of
from trainer.service.history import History


@dataclass(frozen=True)
class Begun:
    """The trigger gets a run of its own."""

    request: Request
    run: TrainingRun


@dataclass(frozen=True)
class Refreshes(Begun):
    """The trigger gets a refresh of its own, which waits for no run."""


@dataclass(frozen=True)
class Joined:
    """A run that waits answers the trigger too."""

    run: TrainingRun


@dataclass(frozen=True)
class Cancels:
    """The trigger asks for the end of this run, which is known."""

    run_id: str
    by: str


@dataclass(frozen=True)
class NothingToDo:
    """There is nothing to do: a run has answered it, or the run to cancel is unknown."""

    why: str


Acceptance = Begun | Refreshes | Joined | Cancels | NothingToDo


def accept(
    trigger: Trigger,
    *,
    settings: TrainerSettings,
    history: History,
    waiting: Sequence[Request],
    now: datetime,
) -> Acceptance | Rejection:
    """Return what becomes of a trigger, given the past and the requests of the runs that have not begun."""
    if history.taken(trigger):
        return NothingToDo("a run has answered this trigger, or its dedup_key")
    if trigger.cancels:
        known = history.get(trigger.cancels)
        return (
            Cancels(known.run_id, trigger.requested_by)
            if known
            else NothingToDo("the run to cancel is unknown")
        )
    run_id = run_id_of(trigger, now)
    while history.get(run_id) is not None:  # another trigger of this second whose hash is the same
        now += timedelta(seconds=1)
        run_id = run_id_of(trigger, now)
    try:
        request = Request.of(run_id, trigger, settings)
    except TriggerError as error:
        return refusal(Reason.SCHEMA, "params", "not_allowed", str(error)[:500])
    if trigger.refresh:
        return _refresh(request, trigger, history)
    return _run(request, trigger, settings, history, waiting)


def _run(
    request: Request,
    trigger: Trigger,
    settings: TrainerSettings,
    history: History,
    waiting: Sequence[Request],
) -> Begun | Joined | Rejection:
    """Decide on a run: its own, or a part of one that waits."""
    if trigger.base == "live" and history.needs_full_retrain(settings.full_after_rejected):
        request = request.model_copy(update={"base": "pristine"})
    shared = _shared(request, trigger, history, waiting)
    if shared is not None:
        return shared
    if len(waiting) >= WAITING_RUNS:
        return refusal(Reason.TOO_MANY, "", "too_many", f"{WAITING_RUNS} runs wait already")
    run = TrainingRun(
        run_id=request.run_id,
        trigger_ids=[trigger.trigger_id],
        dedup_keys=_keys(trigger),
        state=RunState.QUEUED,
    )
    return Begun(request, run)


def _refresh(request: Request, trigger: Trigger, history: History) -> Refreshes | Joined | Rejection:
    """A refresh that has not begun answers what else asks for one."""
    waiting = [run for run in history.unfinished() if run.kind == "refresh" and run.state == RunState.QUEUED]
    if waiting and not (trigger.force or trigger.dry_run):
        run = waiting[0]
        if len(run.trigger_ids) >= TRIGGERS_OF_A_RUN:
            told = f"refresh {run.run_id}, which waits, answers {TRIGGERS_OF_A_RUN} triggers already"
            return refusal(Reason.TOO_MANY, "", "too_many", told)
        return _joined(run, trigger)
    if len(waiting) >= WAITING_RUNS:
        return refusal(Reason.TOO_MANY, "", "too_many", f"{WAITING_RUNS} refreshes wait already")
    run = TrainingRun(
        run_id=request.run_id,
        kind="refresh",
        trigger_ids=[trigger.trigger_id],
        dedup_keys=_keys(trigger),
        state=RunState.QUEUED,
    )
    return Refreshes(request, run)


def _joined(run: TrainingRun, trigger: Trigger) -> Joined:
    joined = {
        "trigger_ids": [*run.trigger_ids, trigger.trigger_id],
        "dedup_keys": [*run.dedup_keys, *_keys(trigger)],
    }
    return Joined(run.model_copy(update={**joined, "detail": "answers several triggers"}))


def _shared(
    request: Request, trigger: Trigger, history: History, waiting: Sequence[Request]
) -> Joined | Rejection | None:
    """Return the run that waits for the same work, with the trigger; a refusal when it answers too many.

    None when there is none.
    """
    for run in (history.get(other.run_id) for other in waiting if request.same_work(other)):
        if run is None or run.state.terminal:
            continue
        if len(run.trigger_ids) >= TRIGGERS_OF_A_RUN:
            return refusal(
                Reason.TOO_MANY,
                "",
                "too_many",
                f"run {run.run_id}, which waits, answers {TRIGGERS_OF_A_RUN} triggers already",
            )
        return _joined(run, trigger)
    return None


def _keys(trigger: Trigger) -> list[str]:
    return [trigger.dedup_key] if trigger.dedup_key else []

"""``train``: ask for a run, or for the end of one.

"Started" is never printed as success: with ``--wait`` it ends with 0 only when the effect was seen.
"""

import asyncio
import getpass
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.text import Text

from commands.support.patience import StuckError
from commands.support.run_progress import ended
from commands.support.run_request import send_trigger, wait_for_run
from commands.support.serving_evidence import show_decision
from commands.support.session import find_settings, out, show_json, stop
from commands.support.topic_state import read_decisions
from schemas.settings import TrainerSettings
from schemas.training import RunState, TrainingRun, Trigger
from schemas.trigger_params import TriggerError, settings_for


def train(
    *,
    wait: bool,
    dry_run: bool,
    force: bool,
    reason: str | None,
    base: Literal["live", "pristine"],
    param: list[str] | None,
    cancel: str | None,
    timeout_s: float,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Ask for a run; with ``wait`` end with 0 only when it was deployed (or, dry, would have been).

    With ``cancel``: for the end of one. ``timeout_s`` is how long no run may move.
    """
    if cancel:
        _cancel(cancel, timeout_s=min(timeout_s, 60), data_dir=data_dir, as_json=as_json)
        return
    if force and not reason:
        stop("--force needs --reason: it is kept in the history", code=2)
    settings = find_settings(data_dir)
    trigger = Trigger(
        trigger_id=uuid.uuid4().hex, requested_by=getpass.getuser(), requested_at=datetime.now(UTC),
        base=base, force=force, force_reason=reason, dry_run=dry_run,
        params=dict(_param(p) for p in param or []),
    )  # fmt: skip
    _require_fit(trigger)
    asyncio.run(send_trigger(settings, trigger))
    if not wait:
        if as_json:
            show_json({"trigger_id": trigger.trigger_id, "state": "requested"})
        else:
            out.print(f"requested as trigger {trigger.trigger_id}; `searchloop runs` shows its progress")
        return
    run = ended(settings, trigger.trigger_id, quiet_s=timeout_s)
    if as_json:
        show_json(run.model_dump(mode="json"))
    else:
        for decision in asyncio.run(read_decisions(settings)):
            if decision.run_id == run.run_id and decision.checks:
                show_decision(decision)
        _show(run)
    good = run.state is RunState.DEPLOYED or (dry_run and run.verdict == "pass")
    if not good:
        raise SystemExit(1)


def _cancel(run_id: str, *, timeout_s: float, data_dir: Path | None, as_json: bool) -> None:
    """End a run that waits or is in progress; 0 only when it was seen to be cancelled.

    A run that is being deployed is not cancelled.
    """
    settings = find_settings(data_dir)
    trigger = Trigger(
        trigger_id=uuid.uuid4().hex,
        requested_by=getpass.getuser(),
        requested_at=datetime.now(UTC),
        cancels=run_id,
    )
    asyncio.run(send_trigger(settings, trigger))
    try:
        run = asyncio.run(wait_for_run(settings, run_id, quiet_s=timeout_s))
    except StuckError as error:
        stop(str(error))
    if as_json:
        show_json(run.model_dump(mode="json"))
    else:
        _show(run)
    if run.state is not RunState.CANCELLED:
        raise SystemExit(1)


def _show(run: TrainingRun) -> None:
    out.print(
        Text.assemble(
            f"{run.run_id}: ", (run.state.value, "bold"), f" {run.error.message if run.error else run.detail}"
        )
    )


def _require_fit(trigger: Trigger) -> None:
    try:
        settings_for(trigger, TrainerSettings.load(os.environ))
    except TriggerError as error:
        stop(str(error), code=2)


def _param(text: str) -> tuple[str, int | float | str | bool]:
    name, sep, value = text.partition("=")
    if not sep:
        stop(f"--param {text!r}: expected name=value", code=2)
    if value in {"true", "false"}:
        return name, value == "true"
    try:
        return name, int(value)
    except ValueError:
        try:
            return name, float(value)
        except ValueError:
            return name, value

"""``refresh``: ask for a refresh of what serves, now."""

import asyncio
import getpass
import uuid
from datetime import UTC, datetime
from pathlib import Path

from commands.support.run_progress import ended
from commands.support.run_request import send_trigger
from commands.support.session import find_settings, out, show_json, stop
from schemas.training import RunState, Trigger


def refresh(
    *,
    wait: bool,
    dry_run: bool,
    force: bool,
    reason: str | None,
    timeout_s: float,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Ask; with ``wait`` end with 0 only when it serves, or when nothing was new."""
    if force and not reason:
        stop("--force needs --reason: it is kept in the history", code=2)
    settings = find_settings(data_dir)
    trigger = Trigger(
        trigger_id=uuid.uuid4().hex,
        requested_by=getpass.getuser(),
        requested_at=datetime.now(UTC),
        refresh=True,
        force=force,
        force_reason=reason,
        dry_run=dry_run,
    )
    asyncio.run(send_trigger(settings, trigger))
    if not wait:
        asked = {"trigger_id": trigger.trigger_id, "state": "requested"}
        told = f"requested as trigger {trigger.trigger_id}; `searchloop runs` shows its progress"
        show_json(asked) if as_json else out.print(told)
        return
    run = ended(settings, trigger.trigger_id, quiet_s=timeout_s)
    if as_json:
        show_json(run.model_dump(mode="json"))
    else:
        serves = f": generation {run.generation} serves" if run.generation else ""
        out.print(f"{run.run_id}: {run.state.value} {run.detail}{serves}", markup=False)
    if run.state not in {RunState.DEPLOYED, RunState.SKIPPED}:
        raise SystemExit(1)

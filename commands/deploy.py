"""Change what serves, and wait until it has taken effect.

The verbs: ``promote``, ``rollback``, ``pause``, ``resume``, ``pin``, ``unpin``, ``abort``. "Started" is never
printed as success: each ends with 0 only when the effect was seen.
"""

import asyncio
import getpass
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.text import Text

from commands.support.command_effect import CommandOutcome, Effect, command_and_wait
from commands.support.session import REFUSED, err, find_settings, out, show_json, stop
from commands.support.topic_state import read_releases
from operations.command_outcome import other_model, rollback_note
from schemas.releases import DeploymentAction, DeploymentCommand

# Beyond what the command line waits, so that it never tells of an end that it has not seen
EXPIRY_GRACE_S = 5
DEADLINE_S = 60


def rollback(
    *,
    to: int | None,
    model: bool,
    expected: int | None,
    force: bool,
    reason: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Go back to a generation; None: to the previous, or with ``model`` to the newest of another model."""
    if model:
        if to is not None:
            stop("--model or --to is expected, not both", code=2)
        to = other_model(*asyncio.run(read_releases(find_settings(data_dir))))
        if to is None:
            stop("no generation of another model can serve")
    _deploy(
        "rollback", to=to, expected=expected, force=force, reason=reason, data_dir=data_dir, as_json=as_json
    )


def promote(
    to: int, *, expected: int | None, force: bool, reason: str, data_dir: Path | None, as_json: bool
) -> None:
    """Serve a generation that still has its index."""
    _deploy(
        "promote", to=to, expected=expected, force=force, reason=reason, data_dir=data_dir, as_json=as_json
    )


def pause(*, reason: str, data_dir: Path | None, as_json: bool) -> None:
    """Refuse promotes until resume."""
    _deploy("pause", reason=reason, data_dir=data_dir, as_json=as_json)


def resume(*, reason: str, data_dir: Path | None, as_json: bool) -> None:
    """Accept promotes again."""
    _deploy("resume", reason=reason, data_dir=data_dir, as_json=as_json)


def pin(*, reason: str, data_dir: Path | None, as_json: bool) -> None:
    """Keep the live generation whatever is promoted."""
    _deploy("pin", reason=reason, data_dir=data_dir, as_json=as_json)


def unpin(*, reason: str, data_dir: Path | None, as_json: bool) -> None:
    """Let the live generation change again."""
    _deploy("unpin", reason=reason, data_dir=data_dir, as_json=as_json)


def abort(*, reason: str, data_dir: Path | None, as_json: bool) -> None:
    """End the build that runs."""
    _deploy("abort", reason=reason, data_dir=data_dir, as_json=as_json)


def _deploy(
    action: DeploymentAction,
    *,
    reason: str,
    data_dir: Path | None,
    as_json: bool,
    to: int | None = None,
    expected: int | None = None,
    force: bool = False,
) -> None:
    """Change what serves, and wait until the pointer says so.

    Exit code 1 with the reason when it was refused.
    """
    if force and not reason:
        stop("--force needs --reason: it is kept in the history", code=2)
    settings = find_settings(data_dir)
    command = DeploymentCommand(
        command_id=uuid.uuid4().hex, deployment=settings.deployment, action=action, target_generation=to,
        expected_generation=expected, reason=reason, force=force, actor=getpass.getuser(),
        expires_at=datetime.now(UTC) + timedelta(seconds=DEADLINE_S + EXPIRY_GRACE_S),
    )  # fmt: skip
    _tell(action, asyncio.run(command_and_wait(settings, command, deadline_s=DEADLINE_S)), as_json=as_json)


def _tell(action: DeploymentAction, effect: Effect, *, as_json: bool) -> None:
    if effect.outcome is CommandOutcome.REFUSED:
        stop(effect.detail)
    if effect.outcome is CommandOutcome.PENDING:
        err.print(Text.assemble(("pending", "bold yellow"), f": {effect.detail}"), soft_wrap=True)
        raise SystemExit(REFUSED)
    pointer = effect.pointer
    note = rollback_note(pointer, effect.before) if action == "rollback" else ""
    if as_json:
        show_json(
            {
                "action": action,
                "seconds": round(effect.took_s, 3),
                "pointer": pointer.model_dump(mode="json") if pointer else None,
            }
            | ({"note": note} if note else {})
        )
    else:
        serves = (
            f"generation {pointer.live.generation} serves (sequence {pointer.sequence})"
            if pointer
            else "nothing serves yet"
        )
        out.print(f"{action} done in {effect.took_s * 1000:.0f} ms: {serves}")
        if note:
            out.print(note, markup=False)

"""``train`` and the deployment verbs: write a request to Kafka, and wait until it has taken effect.

"Started" is never printed as success: a verb that waits ends with 0 only when the effect was seen.
"""

import asyncio
import getpass
import os
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing, Record
from commands.status import show_decision
from commands.support.patience import Patience, StuckError
from commands.support.session import err, find_settings, out, show_json, stop
from commands.support.topic_state import read_chain, read_decisions, readable
from schemas.releases import DeploymentCommand, LivePointer, Release, ReleaseState, is_release_key
from schemas.settings import Settings, TrainerSettings
from schemas.training import Decision, RunState, TrainingRun, Trigger
from trainer.run.generations import follow
from trainer.run.request import Request, TriggerError

PENDING = "still pending"
EXPIRY_GRACE_S = 5  # beyond what the command line waits, so that it never tells of an end that it has not seen
Action = Literal["promote", "rollback", "pause", "resume", "pin", "unpin", "abort"]


async def send_trigger(settings: Settings, trigger: Trigger) -> None:
    """Write one trigger."""
    async with open_producer(settings.kafka, linger_ms=0) as producer:
        await producer.send(Outgoing(settings.topic("training-triggers"), trigger.to_json(), key=settings.deployment.encode()))


async def wait_for_run(
    settings: Settings, wanted: str, *, quiet_s: float, on_change: Callable[[TrainingRun], None] = lambda _: None
) -> TrainingRun:
    """Return the run of this id, or that took the trigger of this id, once it has ended.

    Waits as long as any run tells of progress, so also behind others; raises ``StuckError`` once none did for ``quiet_s``.
    """
    patience = Patience(
        "the training run",
        f"the end of run or trigger {wanted}",
        quiet_s=quiet_s,
        advice="It goes on: `searchloop runs` shows its progress, `searchloop status` whether the trainer and the indexer are ready.",
    )
    seen: dict[str, str] = {}
    async with open_reader(settings.kafka, [settings.topic("training-runs")]) as reader:
        while True:
            for record in await reader.poll(timeout_ms=300):
                run = readable(TrainingRun.from_json, record.value)
                if run is None:
                    continue
                seen[run.run_id] = f"{run.state.value} {run.progress:.0%} {run.detail}"
                if wanted in {run.run_id, *run.trigger_ids}:
                    on_change(run)
                    if run.state.terminal:
                        return run
            patience.saw(dict(list(seen.items())[-3:]) or None)


def train(
    *,
    wait: bool,
    dry_run: bool,
    force: bool,
    reason: str | None,
    base: Literal["live", "pristine"],
    params: list[str],
    timeout_s: float,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Ask for a run; with ``wait`` end with 0 only when it was deployed (or, dry, would have been).

    ``timeout_s`` is how long no run may move.
    """
    if force and not reason:
        stop("--force needs --reason: it is kept in the history", code=2)
    settings = find_settings(data_dir)
    trigger = Trigger(
        trigger_id=uuid.uuid4().hex, requested_by=getpass.getuser(), requested_at=datetime.now(UTC),
        base=base, force=force, force_reason=reason, dry_run=dry_run, params=dict(_param(p) for p in params),
    )  # fmt: skip
    _require_fit(trigger)
    asyncio.run(send_trigger(settings, trigger))
    if not wait:
        if as_json:
            show_json({"trigger_id": trigger.trigger_id, "state": "requested"})
        else:
            out.print(f"requested as trigger {trigger.trigger_id}; `searchloop runs` shows its progress")
        return
    bar = Progress(SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(), console=err)
    with bar:
        task = bar.add_task("waiting for the trainer", total=None)

        def follow(run: TrainingRun) -> None:
            bar.update(task, description=f"{run.run_id}: {run.state.value} {run.progress:.0%} {run.detail}")

        try:
            run = asyncio.run(wait_for_run(settings, trigger.trigger_id, quiet_s=timeout_s, on_change=follow))
        except StuckError as error:
            stop(str(error))
    if as_json:
        show_json(run.model_dump(mode="json"))
    else:
        for decision in asyncio.run(read_decisions(settings)):
            if decision.run_id == run.run_id and decision.checks:
                show_decision(decision)
        out.print(Text.assemble(f"{run.run_id}: ", (run.state.value, "bold"), f" {run.error.message if run.error else run.detail}"))
    good = run.state is RunState.DEPLOYED or (dry_run and run.verdict == "pass")
    if not good:
        raise SystemExit(1)


def cancel(run_id: str, *, timeout_s: float, data_dir: Path | None, as_json: bool) -> None:
    """End a run that waits or is in progress; 0 only when it was seen to be cancelled. A run that is being deployed is not cancelled."""
    settings = find_settings(data_dir)
    trigger = Trigger(trigger_id=uuid.uuid4().hex, requested_by=getpass.getuser(), requested_at=datetime.now(UTC), cancels=run_id)
    asyncio.run(send_trigger(settings, trigger))
    try:
        run = asyncio.run(wait_for_run(settings, run_id, quiet_s=timeout_s))
    except StuckError as error:
        stop(str(error))
    if as_json:
        show_json(run.model_dump(mode="json"))
    else:
        out.print(Text.assemble(f"{run.run_id}: ", (run.state.value, "bold"), f" {run.error.message if run.error else run.detail}"))
    if run.state is not RunState.CANCELLED:
        raise SystemExit(1)


def _require_fit(trigger: Trigger) -> None:
    try:
        Request.of("check", trigger, TrainerSettings.load(os.environ))
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


async def command_and_wait(settings: Settings, command: DeploymentCommand, *, deadline_s: float) -> tuple[LivePointer | None, str, float]:
    """Write a command and wait for its effect. Returns the new pointer (None if refused), the reason, and the seconds it took."""
    topics = [settings.topic("releases"), settings.topic("decisions")]
    async with (
        open_reader(settings.kafka, topics, start="end", fetch_wait_ms=50) as reader,
        open_producer(settings.kafka, linger_ms=0) as producer,
    ):
        await reader.positions()
        chain, _ = await read_chain(settings)
        started = time.monotonic()
        await producer.send(Outgoing(settings.topic("deployment-commands"), command.to_json(), key=settings.deployment.encode()))
        while time.monotonic() - started < deadline_s:
            for record in await reader.poll(timeout_ms=50):
                took = time.monotonic() - started
                if record.topic == topics[0] and follow(chain, record, settings.deployment):
                    if chain.known and chain.known.command_id == command.command_id:
                        return chain.known, "done", took
                elif record.topic == topics[0] and command.action == "abort" and _aborted(record, settings.deployment):
                    return chain.known, "aborted before anything served", took
                elif record.topic == topics[1] and record.value and command.command_id.encode() in record.value:
                    reasons = _refusal(record.value)
                    if reasons is not None:
                        return None, reasons, took
    until = f" until {command.expires_at:%H:%M:%S} UTC; after that it is refused" if command.expires_at else ""
    waits = f"{PENDING} after {deadline_s:.0f} s: the command waits for the indexer{until}. `searchloop status` tells whether it runs"
    return None, waits, deadline_s


def _aborted(record: Record, deployment: str) -> bool:
    if not is_release_key(record.key or b"", deployment):
        return False
    release = readable(Release.from_json, record.value)
    return release is not None and release.state is ReleaseState.FAILED and (release.error or "").startswith("aborted by")


def _refusal(raw: bytes) -> str | None:
    decision = readable(Decision.from_json, raw)
    return "; ".join(decision.reasons) if decision is not None and decision.verdict == "fail" else None


def deploy(
    action: Action,
    *,
    target: int | None,
    expected: int | None,
    reason: str,
    data_dir: Path | None,
    as_json: bool,
    force: bool = False,
    deadline_s: float = 60,
) -> None:
    """Change what serves, and wait until the pointer says so; exit code 1 with the reason when it was refused."""
    if force and not reason:
        stop("--force needs --reason: it is kept in the history", code=2)
    settings = find_settings(data_dir)
    command = DeploymentCommand(
        command_id=uuid.uuid4().hex, deployment=settings.deployment, action=action, target_generation=target,
        expected_generation=expected, reason=reason, force=force, actor=getpass.getuser(),
        expires_at=datetime.now(UTC) + timedelta(seconds=deadline_s + EXPIRY_GRACE_S),
    )  # fmt: skip
    pointer, why, took = asyncio.run(command_and_wait(settings, command, deadline_s=deadline_s))
    if pointer is None and why.startswith(PENDING):
        err.print(f"[bold yellow]pending[/]: {why}", highlight=False, soft_wrap=True)
        raise SystemExit(1)
    if pointer is None:
        stop(why)
    if as_json:
        show_json({"action": action, "seconds": round(took, 3), "pointer": pointer.model_dump(mode="json")})
    else:
        out.print(f"{action} done in {took * 1000:.0f} ms: generation {pointer.live.generation} serves (sequence {pointer.sequence})")

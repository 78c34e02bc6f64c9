"""Run one folder's process to its end.

Start it, follow its progress, stop it when it is too slow, start it again when it dies. Every change is told
to ``tell``; the outcome is what the folder says. Knows no Kafka.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import structlog

from schemas.settings import TrainerSettings
from schemas.training import RunState
from trainer.run.folder import RunFolder, RunOutcome, RunProgress, failed, write_durably
from trainer.run.processes import command, environment

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 3  # without a step that was finished
POLL_S = 0.25
QUIET_S = 1.0  # between two reports of one state


async def execute(
    run: RunFolder,
    settings: TrainerSettings,
    tell: Callable[[RunProgress], Awaitable[None]],
    *,
    module: str = "trainer.retrain",
) -> RunOutcome:
    """Return the outcome of the run, which ``module`` carries out.

    A process that dies is started again; ``MAX_ATTEMPTS`` in a row without a finished step fail the run. When
    this call is cancelled, the process is stopped and the run stays unfinished: it goes on at the next start.
    """
    while True:
        found = run.outcome()
        if found is not None:
            return found
        attempts = _begin(run)
        if attempts > MAX_ATTEMPTS:
            return _ended(
                run,
                failed(
                    "process_died",
                    f"the run's process died {MAX_ATTEMPTS} times: {_fault(run)}",
                    retryable=True,
                ).outcome,
            )
        process = await asyncio.create_subprocess_exec(
            *command(module, run.path),
            env=environment(os.environ, settings.torch_threads),
            stdin=asyncio.subprocess.DEVNULL,
        )
        try:
            in_time = await follow(run, process, timedelta(minutes=settings.max_minutes), tell)
        except asyncio.CancelledError:
            _forgive(run)
            raise
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if not in_time:
            return _ended(
                run, failed("timeout", f"the run took longer than {settings.max_minutes} minutes").outcome
            )
        if process.returncode:
            log.warning(
                "training process exited with an error",
                code=process.returncode,
                attempt=attempts,
                run=run.path.name,
            )


async def follow(
    run: RunFolder,
    process: asyncio.subprocess.Process,
    limit: timedelta,
    tell: Callable[[RunProgress], Awaitable[None]],
) -> bool:
    """Tell of a run's progress until its process ends.

    False when it has not been deploying at the limit, and goes on.
    """
    loop = asyncio.get_running_loop()
    began = told_at = loop.time()
    told: RunProgress | None = None
    while process.returncode is None:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), POLL_S)
        now = run.progress()
        if (
            now.state != RunState.QUEUED
            and now != told
            and (told is None or now.state != told.state or loop.time() - told_at >= QUIET_S)
        ):
            await tell(now)
            told, told_at = now, loop.time()
        if (
            process.returncode is None
            and now.state != RunState.DEPLOYING
            and loop.time() - began > limit.total_seconds()
        ):
            return False
    return True


def _begin(run: RunFolder) -> int:
    """Count an attempt from this step on, durably before it starts.

    A run that takes the machine down must not do so for ever.
    """
    finished = sum(path.name != "progress.json" for path in run.path.glob("*.json"))
    attempts = [*_attempts(run), finished]
    write_durably(run.path / "attempts", " ".join(map(str, attempts)).encode())
    return attempts.count(finished)


def _attempts(run: RunFolder) -> list[int]:
    path = run.path / "attempts"
    return [int(word) for word in path.read_text().split()] if path.is_file() else []


def _forgive(run: RunFolder) -> None:
    """Take back the last attempt: it was our own stop that ended it."""
    write_durably(run.path / "attempts", " ".join(map(str, _attempts(run)[:-1])).encode())


def _ended(run: RunFolder, outcome: RunOutcome) -> RunOutcome:
    run.commit("outcome", outcome)
    return outcome


def _fault(run: RunFolder) -> str:
    path = run.path / "fault.txt"
    return path.read_text() if path.is_file() else "killed"

"""Carry one run to its end.

Start what carries it out, follow its progress, stop it when it is too slow, start it again when it dies.
Every change is told to ``tell``; the outcome is what the folder says. Knows no Kafka, and not where runs are
carried out.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from schemas.settings import TrainerSettings
from schemas.training import RunState
from trainer.run.folder import RunFolder, RunOutcome, RunProgress, failed, write_durably
from trainer.run.launcher import Launcher, LaunchError, RunStatus

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 3  # without a step that was finished
POLL_S = 0.25
RETRY_S = 10.0
QUIET_S = 1.0  # between two reports of one state


async def execute(
    run: RunFolder,
    settings: TrainerSettings,
    tell: Callable[[RunProgress], Awaitable[None]],
    launcher: Launcher,
) -> RunOutcome:
    """Return the outcome of the run, which the launcher carries out.

    What dies is started again; ``MAX_ATTEMPTS`` in a row without a finished step fail the run. What an
    earlier trainer started and still goes on is taken up. When this call is cancelled, or fails, the run
    stays unfinished unless its folder has an outcome: it goes on, or is taken up at the next start.
    """
    died = ""
    while True:
        status = await launcher.look(run, within_s=0)
        found = run.outcome()
        if found is not None:
            if status.state == "waiting":  # what runs sees the outcome and ends by itself, its log complete
                await launcher.stop(run)
            return found
        begun = status.state in {"waiting", "running"} or (status.state == "unseen" and bool(_attempts(run)))
        if not begun and _attempts(run).count(_finished(run)) >= MAX_ATTEMPTS:
            why = f"the run's process died {MAX_ATTEMPTS} times: {_fault(run) or died or 'killed'}"
            return _ended(run, failed("process_died", why, retryable=True).outcome)
        try:
            if not begun:
                await _start(run, settings, tell, launcher)
                begun = True
            status = await follow(run, launcher, settings, tell)
        except LaunchError as error:
            await launcher.stop(run)
            return _ended(run, failed("not_started", str(error), retryable=True).outcome)
        except BaseException as error:
            await _leave(run, launcher, ours=begun and isinstance(error, asyncio.CancelledError))
            raise
        await launcher.stop(run)
        if status.state in {"running", "unseen"}:
            why = f"the run took longer than {settings.max_minutes} minutes"
            return _ended(run, failed("timeout", why).outcome)
        died = _say_death(run, status, len(_attempts(run)))


def _say_death(run: RunFolder, status: RunStatus, attempt: int) -> str:
    """Log an end that was none of the run's, and return why, as far as it is known."""
    if status.code or status.state == "gone":
        more = {"why": status.why} if status.why else {}
        told = {"code": status.code, "attempt": attempt, "run": run.path.name, **more}
        log.warning("training process exited with an error", **told)
    return status.why


async def _leave(run: RunFolder, launcher: Launcher, *, ours: bool) -> None:
    """Stop what does not outlive us, or is over. ``ours``: it is our own stop that ends the attempt."""
    if launcher.outlives and run.outcome() is None:
        return
    if ours:
        _forgive(run)
    await launcher.stop(run)


async def _start(
    run: RunFolder,
    settings: TrainerSettings,
    tell: Callable[[RunProgress], Awaitable[None]],
    launcher: Launcher,
) -> None:
    """Start it; what may pass is told and tried again. Raises ``LaunchError``.

    The attempt counts unless the launcher says that nothing began, or we were stopped before it did.
    """
    loop = asyncio.get_running_loop()
    end, told = loop.time() + settings.job_start_timeout.total_seconds(), ""
    while True:
        _begin(run)
        try:
            await launcher.start(run, settings)
        except (LaunchError, asyncio.CancelledError) as error:
            _forgive(run)
            if not isinstance(error, LaunchError) or not error.passes or loop.time() > end:
                raise
            if str(error) != told:
                told = str(error)
                await tell(run.progress().model_copy(update={"detail": told[:500]}))
            await asyncio.sleep(RETRY_S)
        else:
            return


async def follow(
    run: RunFolder,
    launcher: Launcher,
    settings: TrainerSettings,
    tell: Callable[[RunProgress], Awaitable[None]],
) -> RunStatus:
    """Tell of a run's progress until nothing carries it out any more.

    Returns how that ended; ``running`` or ``unseen`` when it has not been deploying after ``max_minutes``.
    Time in which it waits to begin is not counted; ``LaunchError`` when that takes longer than
    ``job_start_timeout``.
    """
    loop = asyncio.get_running_loop()
    began = told_at = ran_at = looked_at = loop.time()
    told: RunProgress | None = None
    while True:
        status = await launcher.look(run, within_s=POLL_S)
        now, at, waits = run.progress(), loop.time(), status.state == "waiting"
        if waits:
            began += at - looked_at
            now = now.model_copy(update={"detail": status.why[:500], "at": told.at if told else now.at})
            if at - ran_at > settings.job_start_timeout.total_seconds():
                minutes = settings.job_start_timeout.total_seconds() / 60
                raise LaunchError(
                    f"the run did not begin in {minutes:.0f} minutes: {status.why}", passes=True
                )
        else:
            ran_at = at
        looked_at = at
        if (
            (waits or now.state != RunState.QUEUED)
            and now != told
            and (told is None or now.state != told.state or at - told_at >= QUIET_S)
        ):
            await tell(now)
            told, told_at = now, at
        if status.state in {"ended", "gone"}:
            return status
        late = at - began > timedelta(minutes=settings.max_minutes).total_seconds()
        if late and not waits and now.state != RunState.DEPLOYING:
            return status


def _begin(run: RunFolder) -> None:
    """Count an attempt from this step on, durably before it starts.

    A run that takes the machine down must not do so for ever.
    """
    attempts = [*_attempts(run), _finished(run)]
    write_durably(run.path / "attempts", " ".join(map(str, attempts)).encode())


def _finished(run: RunFolder) -> int:
    return sum(path.name != "progress.json" for path in run.path.glob("*.json"))


def _attempts(run: RunFolder) -> list[int]:
    """Return of each attempt how many steps were finished before it."""
    path = run.path / "attempts"
    return [int(word) for word in path.read_text().split()] if path.is_file() else []


def _forgive(run: RunFolder) -> None:
    """Take back the last attempt: it did not begin, or it was our own stop that ended it."""
    write_durably(run.path / "attempts", " ".join(map(str, _attempts(run)[:-1])).encode())


def _ended(run: RunFolder, outcome: RunOutcome) -> RunOutcome:
    """Return how the run ended: by itself, where it did while it was being stopped."""
    found = run.outcome()
    if found is None:
        run.commit("outcome", outcome)
    return found or outcome


def _fault(run: RunFolder) -> str:
    path = run.path / "fault.txt"
    return path.read_text() if path.is_file() else ""

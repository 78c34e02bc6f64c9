"""What counts as an attempt of a run, and which outcome stands."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from schemas.settings import TrainerSettings
from schemas.training import RunState
from tests.trainer.toy_launcher import ToyLauncher
from tests.waiting import until
from trainer.run.folder import RunFolder, RunOutcome, RunProgress
from trainer.run.launcher import LaunchError, RunStatus
from trainer.service.execution import MAX_ATTEMPTS, execute

SETTINGS = TrainerSettings(max_minutes=60)
DEPLOYED = RunOutcome(state=RunState.DEPLOYED, generation=2)
QUOTA = LaunchError("a quota is used up", passes=True)
AWAY = RunStatus("unseen", why="the API is away")


class Trainer:
    """One that carries the run out until it is stopped."""

    def __init__(self, run: RunFolder, launcher: ToyLauncher, settings: TrainerSettings = SETTINGS) -> None:
        self.details: list[str] = []
        self.work = asyncio.create_task(execute(run, settings, self._tell, launcher))

    async def _tell(self, progress: RunProgress) -> None:
        self.details.append(progress.detail)

    async def stop(self) -> None:
        self.work.cancel()
        with suppress(asyncio.CancelledError):
            await self.work


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def attempts(run: RunFolder) -> int:
    return len((run.path / "attempts").read_text().split())


async def test_a_trainer_that_is_restarted_while_a_quota_is_waited_for_counts_no_attempt(
    run: RunFolder,
) -> None:
    launcher = ToyLauncher(outlives=True)
    launcher.refuses = QUOTA
    for _ in range(MAX_ATTEMPTS + 1):
        trainer = Trainer(run, launcher)
        await until(lambda told=trainer.details: told, "it is told what the run waits for", pause_s=0.01)
        assert trainer.details == [str(QUOTA)]
        await trainer.stop()
    assert attempts(run) == 0
    launcher.refuses = None
    trainer = Trainer(run, launcher)
    await until(lambda: launcher.started, "the run begins", pause_s=0.01)
    await trainer.stop()
    assert (attempts(run), launcher.stopped) == (1, 0)


async def test_a_start_that_fails_for_a_fault_of_the_machine_is_an_attempt(run: RunFolder) -> None:
    launcher = ToyLauncher(outlives=False)
    launcher.refuses = OSError("no memory for a process")
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(OSError, match="no memory"):
            await Trainer(run, launcher).work
    outcome = await Trainer(run, launcher).work
    assert outcome.error is not None
    assert outcome.error.code == "process_died"


async def test_what_our_own_stop_ends_is_no_attempt(run: RunFolder) -> None:
    launcher = ToyLauncher(outlives=False)
    trainer = Trainer(run, launcher)
    await until(lambda: launcher.started, "the run begins", pause_s=0.01)
    await trainer.stop()
    assert (attempts(run), launcher.stopped) == (0, 1)


@pytest.mark.parametrize(
    "refuses", [None, LaunchError("there is no right", passes=False)], ids=["slow", "right"]
)
async def test_a_run_that_ends_while_it_is_stopped_has_its_own_outcome(
    run: RunFolder, refuses: LaunchError | None
) -> None:
    launcher = ToyLauncher(outlives=True)
    launcher.refuses = refuses
    launcher.while_stopping = lambda stopped: stopped.commit("outcome", DEPLOYED)
    limited = SETTINGS.model_copy(update={"max_minutes": 0})
    assert await Trainer(run, launcher, limited).work == DEPLOYED
    assert run.outcome() == DEPLOYED


async def test_a_run_that_cannot_be_seen_is_begun_unless_it_was_before(run: RunFolder) -> None:
    for _ in range(2):
        launcher = ToyLauncher(outlives=True, before=AWAY)
        trainer = Trainer(run, launcher)
        if not (run.path / "attempts").exists():
            await until(lambda of=launcher: of.started, "the run is begun", pause_s=0.01)
        run.report(RunState.TRAINING, 0.5, "goes on")
        await until(lambda told=trainer.details: "goes on" in told, "it is followed", pause_s=0.01)
        await trainer.stop()
    assert (launcher.started, attempts(run)) == (0, 1)

"""How a trainer cancels runs, and stops."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from broker.producing import Producer
from broker.records import Outgoing, Record
from schemas.settings import TrainerSettings
from schemas.training import RunState, TrainingRun, Trigger
from tests.trainer.toy_launcher import ToyLauncher
from tests.waiting import until
from trainer.run.folder import RunFolder, RunOutcome
from trainer.service.history import History
from trainer.service.worker import Worker

ENDS = [RunOutcome(state=RunState.FAILED_GATE), RunOutcome(state=RunState.DEPLOYED, generation=2)]


class Topics:
    """Keeps what is produced."""

    def __init__(self) -> None:
        self.runs: list[TrainingRun] = []

    async def send(self, record: Outgoing) -> None:
        self.runs.append(TrainingRun.from_json(record.value or b""))

    async def send_all(self, records: Iterable[Outgoing], **_: Any) -> None:
        assert not list(records)


class Runs:
    """A trainer's worker that was asked for two runs."""

    def __init__(self, data_dir: Path) -> None:
        self.launcher, self.topics = ToyLauncher(outlives=False), Topics()
        self.settings = TrainerSettings(data_dir=data_dir)
        self.worker = self._a_worker()

    def _a_worker(self) -> Worker:
        producer = cast("Producer", self.topics)
        return Worker(self.settings, producer, History(self.topics.runs), self.launcher)

    async def ask(self, trigger_id: str, **fields: Any) -> None:
        trigger = Trigger(trigger_id=trigger_id, requested_at=datetime.now(UTC), **fields)
        await self.worker.accept([Record("training-triggers", 0, 0, 0, None, trigger.to_json())])

    async def begin(self) -> asyncio.Task[None]:
        for seed in (1, 2):
            await self.ask(f"t{seed}", params={"seed": seed})
        work = asyncio.create_task(self.worker.work())
        await until(lambda: self.launcher.started, "the first run goes on", pause_s=0.01)
        return work

    async def restart(self) -> None:
        self.worker = self._a_worker()
        await self.worker.recover()

    def folder(self, number: int) -> RunFolder:
        ids = list(dict.fromkeys(run.run_id for run in self.topics.runs))
        return RunFolder.of(self.settings.data_dir, ids[number])

    def ended(self) -> dict[str, RunState]:
        return {run.run_id: run.state for run in self.topics.runs if run.state.terminal}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


async def stopped(work: asyncio.Task[None]) -> bool:
    """Stop the worker once, as its task group does; say whether that ended it."""
    work.cancel()
    done, _ = await asyncio.wait({work}, timeout=20)
    while not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=1)
    return bool(done)


@pytest.mark.parametrize("outcome", ENDS, ids=["refused", "deployed"])
async def test_a_worker_that_is_stopped_as_its_run_ends_tells_the_end_and_begins_no_other(
    runs: Runs, outcome: RunOutcome
) -> None:
    work = await runs.begin()
    folder = runs.folder(0)
    runs.launcher.while_stopping = lambda run: run.commit("outcome", outcome)
    assert await stopped(work)
    assert runs.ended() == {folder.path.name: outcome.state}
    assert (len(runs.worker.waiting), runs.launcher.started) == (1, 1)


@pytest.mark.parametrize("outcome", ENDS, ids=["refused", "deployed"])
async def test_a_run_that_has_ended_cannot_be_cancelled_any_more(runs: Runs, outcome: RunOutcome) -> None:
    work = await runs.begin()
    going_on, waiting = runs.folder(0), runs.folder(1)
    for folder in (going_on, waiting):
        folder.commit("outcome", outcome)
        await runs.ask(f"stop {folder.path.name}", cancels=folder.path.name)
        assert folder.outcome() == outcome
    await stopped(work)
    await runs.restart()
    work = asyncio.create_task(runs.worker.work())
    await until(lambda: len(runs.ended()) == 2, "both have ended", pause_s=0.01)
    assert await stopped(work)
    assert set(runs.ended().values()) == {outcome.state}


async def test_a_run_that_waits_or_goes_on_is_cancelled_and_the_next_one_begins(runs: Runs) -> None:
    work = await runs.begin()
    first, second = runs.folder(0), runs.folder(1)
    await runs.ask("stop 1", cancels=first.path.name)
    await until(lambda: runs.launcher.started == 2, "the next one begins", pause_s=0.01)
    second.report(RunState.DEPLOYING, 0.9, "")
    await runs.ask("stop 2", cancels=second.path.name)
    assert second.outcome() is None, "what is being deployed is left"
    second.report(RunState.TRAINING, 0.5, "")
    await runs.ask("stop 2 again", cancels=second.path.name)
    await until(lambda: len(runs.ended()) == 2, "both have ended", pause_s=0.01)
    assert await stopped(work)
    assert set(runs.ended().values()) == {RunState.CANCELLED}

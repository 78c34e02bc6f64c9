"""A run that is promoted ends as the indexer's work does.

It is not given up while its generation is built.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.topics import ensure_topics
from schemas.releases import Candidate, DeploymentCommand, Release, ReleaseState
from schemas.settings import TrainerSettings
from schemas.topics import DECISIONS, RELEASES
from schemas.training import Decision, RunState
from tests.topics import write
from tests.trainer.builders import a_pointer
from trainer.promotion import command_for
from trainer.run.folder import RunFolder, RunProgress
from trainer.run.generations import RefusedError, await_release
from trainer.run.launcher import RunStatus
from trainer.service.execution import follow

pytestmark = pytest.mark.broker

RUN = "20260131-120000-1a2b3c4d"
CANDIDATE = Candidate(model="a-model", model_sha256="0" * 64, dim=384, run_id=RUN, decision_id="d1")
NOT_LONG = timedelta(seconds=1)


@pytest.fixture
async def settings(settings_env: Callable[..., dict[str, str]]) -> TrainerSettings:
    settings = TrainerSettings.load(settings_env(partitions=1))
    await ensure_topics(settings)
    return settings


def a_command(decided: datetime, valid: timedelta) -> DeploymentCommand:
    decision = Decision(
        decision_id="d1", run_id=RUN, verdict="pass", generation_before=1, actor="trainer", at=decided
    )
    return command_for(decision, CANDIDATE, "main", valid=valid)


async def say(settings: TrainerSettings, state: ReleaseState, **fields: object) -> None:
    release = a_pointer(7, "a-model", run_id=RUN).live.model_copy(update={"state": state, **fields})
    await write(settings, RELEASES.name, (b"generation:000007", release.to_json()))


def test_a_promotion_expires_and_says_the_same_when_it_is_sent_again() -> None:
    decided = datetime(2026, 1, 31, tzinfo=UTC)
    command = a_command(decided, timedelta(minutes=30))
    assert command.expires_at == decided + timedelta(minutes=30)
    assert command == a_command(decided, timedelta(minutes=30))


async def test_a_run_whose_promotion_nobody_took_up_ends_after_it_has_expired(
    settings: TrainerSettings,
) -> None:
    command = a_command(datetime.now(UTC), NOT_LONG)
    assert await await_release(settings, command, RUN, grace=NOT_LONG) is None
    assert command.expires_at is not None
    assert datetime.now(UTC) > command.expires_at + NOT_LONG


async def test_a_run_waits_for_its_generation_as_long_as_it_is_built(settings: TrainerSettings) -> None:
    command = a_command(datetime.now(UTC), timedelta(seconds=5))
    told: list[Release] = []
    await say(settings, ReleaseState.BUILDING)
    waiting = asyncio.create_task(await_release(settings, command, RUN, building=told.append, grace=NOT_LONG))
    await asyncio.wait([waiting], timeout=8)  # it has expired, and the build goes on
    assert not waiting.done()
    await say(settings, ReleaseState.BUILDING, attempts=2)
    await say(settings, ReleaseState.VERIFIED, attempts=2)
    pointer = a_pointer(7, "a-model", run_id=RUN, command_id=command.command_id)
    await write(settings, RELEASES.name, (b"main", pointer.to_json()))
    assert await waiting == 7
    assert [(release.state, release.attempts) for release in told] == [
        (ReleaseState.BUILDING, 1),
        (ReleaseState.BUILDING, 2),
        (ReleaseState.VERIFIED, 2),
    ]


async def test_a_run_that_comes_back_long_after_reads_what_became_of_its_promotion(
    settings: TrainerSettings,
) -> None:
    await say(settings, ReleaseState.BUILDING)
    await say(settings, ReleaseState.RELEASED)
    assert await await_release(settings, a_command(datetime.now(UTC) - timedelta(days=1), NOT_LONG), RUN) == 7


async def test_a_refusal_or_a_failed_build_ends_the_run_with_its_reason(settings: TrainerSettings) -> None:
    command = a_command(datetime.now(UTC), timedelta(minutes=5))
    await say(settings, ReleaseState.BUILDING)
    await say(settings, ReleaseState.FAILED, error="the disk is full")
    with pytest.raises(RefusedError, match="the disk is full"):
        await await_release(settings, command, RUN)
    other = "20260131-120000-99999999"
    refusal = Decision(
        decision_id=f"main-rejected-{command.command_id}",
        run_id=other,
        verdict="fail",
        reasons=["expired"],
        at=datetime.now(UTC),
    )
    await write(settings, DECISIONS.name, (other.encode(), refusal.to_json()))
    with pytest.raises(RefusedError, match="expired"):
        await await_release(settings, command, other)


class AProcess:
    """A launcher of what ends by itself, or not, and is nowhere stopped."""

    outlives = False

    def __init__(self, lasts_s: float) -> None:
        self._end = asyncio.get_running_loop().time() + lasts_s

    async def start(self, run: RunFolder, settings: TrainerSettings) -> None: ...

    async def look(self, run: RunFolder, *, within_s: float) -> RunStatus:
        left_s = self._end - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, min(left_s, within_s)))
        return RunStatus("running" if left_s > within_s else "ended")

    async def stop(self, run: RunFolder) -> None: ...


@pytest.mark.parametrize(("state", "ends"), [(RunState.TRAINING, "running"), (RunState.DEPLOYING, "ended")])
async def test_the_time_of_a_run_ends_where_its_promotion_begins(
    state: RunState, ends: str, tmp_path: Path
) -> None:
    run, told = RunFolder(tmp_path), []
    run.report(state, 0.5, "")

    async def tell(progress: RunProgress) -> None:
        told.append(progress.state)

    # Longer than its time, and in no case ended before that is looked at
    going = AProcess(2 if ends == "ended" else 600)
    limited = TrainerSettings().model_copy(update={"max_minutes": 1 / 60})
    assert (await follow(run, going, limited, tell)).state == ends
    assert set(told) == {state}

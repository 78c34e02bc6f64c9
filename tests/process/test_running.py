"""A process from start to end: wrong settings, a fault, a signal."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from process.running import CRASHED, MISUSED, until_stopped
from tests.processes import SearchloopProcess

PROGRAM = """
import sys
from process.running import run_process
from schemas.settings import Settings

async def work(settings, health, stopping):
    health.ready = True
    if "fault" in sys.argv:
        raise ConnectionError("the broker has gone")
    if "partitions" in sys.argv:
        sys.exit(f"works with {settings.partitions} partitions")
    await stopping.wait()

run_process("example", Settings, work)
"""


def example(tmp_path: Path, *arguments: str) -> SearchloopProcess:
    settings = {"SEARCHLOOP_DATA_DIR": str(tmp_path)}
    return SearchloopProcess("example", settings, command=[sys.executable, "-c", PROGRAM, *arguments])


def test_a_wrong_setting_ends_the_process_before_it_starts_and_is_named(tmp_path: Path) -> None:
    with example(tmp_path).start(partitons="3") as process:
        assert process.wait() == MISUSED
    assert process.log() == (
        "example: SEARCHLOOP_PARTITONS is not a setting of searchloop; docs/configuration.md lists them all\n"
    )
    assert not (tmp_path / "run").exists()


async def test_a_stop_while_the_broker_is_still_awaited_is_heeded(tmp_path: Path) -> None:
    with example(tmp_path).start(kafka="127.0.0.1:9") as process:
        assert "true" in await process.page("healthz")
        assert process.stop() == 0


@pytest.mark.broker
def test_a_process_works_with_the_partitions_that_the_topics_were_made_with_and_refuses_others_that_were_said(
    tmp_path: Path, kafka: str, topic_prefix: str
) -> None:
    there = {"kafka": kafka, "topic_prefix": topic_prefix}
    for said, found in (
        ({"partitions": "4"}, "works with 4"),
        ({}, "works with 4"),
        ({"partitions": "12"}, "set SEARCHLOOP_PARTITIONS=4"),
    ):
        with example(tmp_path / said.get("partitions", "none"), "partitions").start(
            **there, **said
        ) as process:
            process.wait()
        assert found in process.log()


@pytest.mark.broker
async def test_a_ready_process_stops_in_order(tmp_path: Path, kafka: str, topic_prefix: str) -> None:
    with example(tmp_path).start(kafka=kafka, topic_prefix=topic_prefix, log_json="true") as process:
        await process.shows(lambda page: page["ready"])
        assert process.stop(signal.SIGINT) == 0
    lines = [json.loads(line) for line in process.log().splitlines()]
    # Libraries warn of topics that were made a moment ago, and of a broker that takes its time
    assert [line["event"] for line in lines if line["level"] == "info"] == ["health pages up", "stopped"]
    assert not [line for line in lines if "topic configuration" in line["event"]]
    assert {line["process"] for line in lines} == {"example"}


@pytest.mark.broker
def test_a_fault_of_the_infrastructure_ends_the_process_with_its_reason(
    tmp_path: Path, kafka: str, topic_prefix: str
) -> None:
    with example(tmp_path, "fault").start(kafka=kafka, topic_prefix=topic_prefix) as process:
        assert process.wait() == CRASHED
    assert "the broker has gone" in process.log()


async def test_when_one_task_fails_the_others_have_cleaned_up_before_it_is_told() -> None:
    cleaned = asyncio.Event()

    async def fails() -> None:
        raise ConnectionError("gone")

    async def cleans() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    tasks = [asyncio.create_task(fails()), asyncio.create_task(cleans())]
    with pytest.raises(ConnectionError, match="gone"):
        await until_stopped(asyncio.Event(), *tasks)
    assert cleaned.is_set()


async def test_a_stop_ends_every_task() -> None:
    stopping = asyncio.Event()
    tasks = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
    asyncio.get_running_loop().call_soon(stopping.set)
    await until_stopped(stopping, *tasks)  # type: ignore[arg-type]
    assert all(task.cancelled() for task in tasks)

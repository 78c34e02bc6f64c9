"""A process from start to end: wrong settings, a fault, a signal."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from process.running import CRASHED, MISUSED, until_stopped

ROOT = Path(__file__).resolve().parents[2]
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


def start(tmp_path: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SEARCHLOOP_")}
    environ = (
        clean
        | {"SEARCHLOOP_DATA_DIR": str(tmp_path)}
        | {f"SEARCHLOOP_{k.upper()}": v for k, v in settings.items()}
    )
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True)


def wait_for_page(tmp_path: Path, page: str, *, timeout_s: float = 120) -> int:
    """Return the port once the page answers 200. Raises ``TimeoutError``."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        try:
            port = json.loads((tmp_path / "run" / "example.json").read_text())["port"]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5):
                return int(port)
        except OSError:
            time.sleep(0.05)  # between two looks
    raise TimeoutError(page)


def test_a_wrong_setting_ends_the_process_before_it_starts_and_is_named(tmp_path: Path) -> None:
    process = start(tmp_path, partitons="3")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == MISUSED
    assert errors == (
        "example: SEARCHLOOP_PARTITONS is not a setting of searchloop; docs/configuration.md lists them all\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_stop_while_the_broker_is_still_awaited_is_heeded(tmp_path: Path) -> None:
    process = start(tmp_path, kafka="127.0.0.1:9")
    wait_for_page(tmp_path, "healthz")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


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
        _, errors = start(tmp_path, "partitions", **there, **said).communicate(timeout=120)
        assert found in errors


@pytest.mark.broker
def test_a_ready_process_stops_in_order(tmp_path: Path, kafka: str, topic_prefix: str) -> None:
    process = start(tmp_path, kafka=kafka, topic_prefix=topic_prefix, log_json="true")
    wait_for_page(tmp_path, "readyz")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    lines = [json.loads(line) for line in errors.splitlines()]
    # Libraries warn of topics that were made a moment ago, and of a broker that takes its time
    assert [line["event"] for line in lines if line["level"] == "info"] == ["health pages up", "stopped"]
    assert not [line for line in lines if "topic configuration" in line["event"]]
    assert {line["process"] for line in lines} == {"example"}


@pytest.mark.broker
def test_a_fault_of_the_infrastructure_ends_the_process_with_its_reason(
    tmp_path: Path, kafka: str, topic_prefix: str
) -> None:
    process = start(tmp_path, "fault", kafka=kafka, topic_prefix=topic_prefix)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == CRASHED
    assert "the broker has gone" in errors


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

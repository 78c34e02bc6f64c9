"""``up`` as a process of its own: signals, kill -9, and what the next start finds."""

import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from broker.topics import TopicMismatchError, ensure_topics
from embedded.ports import free_port
from embedded.runtime import Runtime, read_runtime
from schemas.settings import Settings
from tests.embedded.small_processes import commands, is_running
from tests.processes import ProcessUnderTest, run_cli
from tests.waiting import until

pytestmark = pytest.mark.broker

UP = """
import asyncio, json, sys
from pathlib import Path
from embedded.up import up
commands = json.loads(sys.argv[2])
sys.exit(asyncio.run(up(Path(sys.argv[1]), processes=tuple(commands), commands=commands)))
"""


def start_up(folder: Path, env: dict[str, str], **modes: str) -> ProcessUnderTest:
    command = [sys.executable, "-c", UP, str(folder), json.dumps(commands(**modes))]
    return ProcessUnderTest(command, {**os.environ, **env}, folder / "printed.txt").start()


def running_on(folder: Path) -> Runtime:
    runtime = read_runtime(folder)
    assert runtime is not None
    return runtime


async def test_after_a_signal_it_ends_in_order_with_nothing_left_and_the_next_start_finds_the_topics(
    tmp_path: Path,
) -> None:
    addresses = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with start_up(tmp_path, {}, stream="plain", api="plain") as process:
            await process.says("searchloop is up", "stream   | stream says hello")
            await process.says("open http://127.0.0.1:8077/console in a browser")
            runtime = running_on(tmp_path)
            await process.says(f"clients find Kafka at {runtime.kafka}")
            assert set(runtime.processes) == {"kafka", "milvus", "stream", "api"}
            addresses.append((runtime.kafka, runtime.milvus))
            if number is signal.SIGTERM:
                await ensure_topics(Settings(kafka=runtime.kafka, partitions=3))
            else:
                with pytest.raises(TopicMismatchError, match="has 3 partitions"):
                    await ensure_topics(Settings(kafka=runtime.kafka, partitions=4))
            below = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(number)
            assert process.wait() == 0
            assert not any(is_running(p.pid) for p in below)
            assert not (tmp_path / "runtime.json").exists()
    assert addresses[0] == addresses[1]


async def test_a_port_that_was_asked_for_is_kafkas_and_is_kept(milvus: str, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "cli", "up", "--data-dir", str(tmp_path / "data")]
    command += ["--kafka-port", str(port)]
    env = {**os.environ, "SEARCHLOOP_MILVUS": milvus}
    with ProcessUnderTest(command, env, tmp_path / "printed.txt").start() as process:
        await process.says(f"kafka answers at 127.0.0.1:{port}")
    assert json.loads((tmp_path / "data" / "kafka" / "node.json").read_text())["port"] == port


def test_a_port_for_a_server_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    up = ("up", "--data-dir", str(tmp_path), "--kafka-port", "20001")
    done = run_cli(*up, SEARCHLOOP_KAFKA="other:9092")
    assert done.returncode == 2
    assert "--kafka-port is for a server of our own" in done.stderr


async def test_kill_9_leaves_nothing_running_not_even_what_a_child_had_started(
    kafka: str, milvus: str, tmp_path: Path
) -> None:
    with start_up(
        tmp_path, {"SEARCHLOOP_KAFKA": kafka, "SEARCHLOOP_MILVUS": milvus}, stream="plain", trainer="parent"
    ) as process:
        await process.says("searchloop is up")
        below = psutil.Process(process.pid).children(recursive=True)
        assert len(below) == 4  # two children, one of a child, the guardian
        process.send_signal(signal.SIGKILL)
        process.wait()
        await until(lambda: not any(is_running(p.pid) for p in below), "everything below it is gone")


def test_a_process_that_refuses_its_settings_at_the_start_ends_it_with_status_1_and_the_reason(
    kafka: str, milvus: str, tmp_path: Path
) -> None:
    with start_up(
        tmp_path, {"SEARCHLOOP_KAFKA": kafka, "SEARCHLOOP_MILVUS": milvus}, stream="misused", searcher="plain"
    ) as process:
        assert process.wait() == 1
    assert "stream refused to start" in process.log()
    assert "no such setting" in process.log()


async def test_kafka_that_is_killed_comes_back_where_its_clients_look_for_it(tmp_path: Path) -> None:
    with start_up(tmp_path, {}, stream="plain") as process:
        await process.says("searchloop is up")
        before = running_on(tmp_path)
        os.kill(before.processes["kafka"], signal.SIGKILL)
        await until(
            lambda: (
                running_on(tmp_path).processes.get("kafka", before.processes["kafka"])
                != before.processes["kafka"]
            ),
            "restarted",
        )
        await ensure_topics(Settings(kafka=before.kafka, partitions=1))
        process.stop()

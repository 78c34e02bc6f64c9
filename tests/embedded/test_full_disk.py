"""The stack on a disk that is full: it stays, says so, and comes back by itself when there is room."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest

from broker.errors import BrokerError
from broker.producing import Producer, open_producer
from broker.records import Outgoing
from broker.topics import ensure_topics
from embedded.supervisor import Supervisor
from schemas.connections import KafkaConnection
from schemas.settings import Settings
from tests.embedded.small_processes import commands
from tests.small_disk import fill, small_disk
from tests.topics import read_all
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.slow]


async def write(producer: Producer, topic: str, numbers: range, acknowledged: list[int]) -> None:
    """Write records one by one and note those that were acknowledged."""
    for number in numbers:
        with suppress(BrokerError):  # in doubt: it may be there or not
            await producer.send(Outgoing(topic, b"%d " % number + b"x" * 50_000, key=b"k"))
            acknowledged.append(number)


async def test_a_full_disk_stops_kafka_and_not_its_keeper_and_nothing_acknowledged_is_lost(
    milvus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed: list[str] = []

    def says(words: str) -> bool:
        printed.append(capsys.readouterr().out)
        return words in "".join(printed)

    with small_disk(tmp_path / "disk", 300) as disk:
        env = {"SEARCHLOOP_MILVUS": milvus, "SEARCHLOOP_PARTITIONS": "1"}
        stack = Supervisor(
            data_dir=disk / "data",
            env=env,
            processes=("stream",),
            commands=commands(stream="plain"),
        )
        async with stack as running:
            await running.ready(180)
            watching = asyncio.create_task(running.watch())
            settings = Settings(kafka=running.kafka, partitions=1)
            await ensure_topics(settings)
            topic = settings.topic("searches")
            acknowledged: list[int] = []
            async with open_producer(KafkaConnection(kafka=running.kafka), linger_ms=0) as producer:
                await write(producer, topic, range(20), acknowledged)
                ballast = fill(disk)
                writing = asyncio.create_task(write(producer, topic, range(20, 120), acknowledged))
                await until(
                    lambda: running.restarts("kafka") >= 1, "Kafka was started again while the disk was full"
                )
                before = len(acknowledged)
                running.kill("stream")  # its end and its start are written to runtime.json, which has no room
                await until(
                    lambda: running.restarts("stream") >= 1,
                    "the process was started again while the disk was full",
                )
                await until(lambda: says("is full ("), "the full disk was told")
                assert not watching.done()

                ballast.unlink()
                await writing
            assert before < len(acknowledged)
            found = [int((r.value or b"").split()[0]) for r in await read_all(running.kafka, topic)]
            assert set(acknowledged) <= set(found)
            assert found == sorted(set(found))
            expected = {name: running.pid(name) for name in ("kafka", "stream")}
            await until(
                lambda: json.loads((disk / "data" / "runtime.json").read_text())["processes"] == expected,
                "runtime.json is true",
            )
            await until(lambda: says("has room again"), "the room was told")
            assert "has room again" in (disk / "data" / "logs" / "up.log").read_text()
            assert not watching.done()
            watching.cancel()

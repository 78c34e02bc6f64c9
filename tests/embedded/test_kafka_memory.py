"""What a stranger can take of the embedded broker's memory with a few bytes."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from broker.producing import open_producer
from broker.records import Outgoing
from broker.topics import ensure_topics
from embedded.kafka import EmbeddedKafka
from embedded.kafka_config import LARGEST_RECORD_BYTES, LARGEST_REQUEST_BYTES, heap_mb, server_properties
from schemas.connections import KafkaConnection
from schemas.settings import Settings
from tests.topics import read_all, write_unpacking

MB = 1 << 20


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """The broker of these tests, whose log nobody else has written to."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as started:
        yield started


def setting(name: str, heap: int) -> int:
    text = server_properties(Path("data"), 1, 2, heap=heap)
    return int(dict(line.split("=", 1) for line in text.splitlines())[name])


@pytest.mark.parametrize("memory_gb", [2, 4, 8, 24, 64, 1024])
def test_requests_that_wait_take_leave_a_third_of_the_heap_whatever_the_machine(memory_gb: int) -> None:
    """The bound may be passed by one request."""
    heap = heap_mb(memory_gb << 30)
    assert (
        setting("queued.max.request.bytes", heap) + setting("socket.request.max.bytes", heap)
        <= heap * MB * 2 // 3
    )
    assert setting("queued.max.request.bytes", heap) >= 8 * setting("socket.request.max.bytes", heap)


@pytest.mark.broker
@pytest.mark.parametrize(("connections", "announced"), [(3, 100 * MB), (7, LARGEST_REQUEST_BYTES)])
async def test_connections_that_announce_much_and_send_nothing_keep_nobody_from_being_answered(
    broker: EmbeddedKafka, topic_prefix: str, connections: int, announced: int
) -> None:
    """By default three of them, five bytes each, took all of the heap, for minutes after they had gone."""
    with ExitStack() as held:
        settings = Settings(kafka=broker.address, partitions=1, topic_prefix=topic_prefix)
        await ensure_topics(settings)
        host, port = broker.address.split(":")
        for _ in range(connections):
            connection = held.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(struct.pack(">i", announced) + b"\0")
        topic = settings.topic("searches")
        async with open_producer(KafkaConnection(kafka=broker.address), linger_ms=0) as producer:
            for _ in range(3):
                await producer.send(Outgoing(topic, b"x" * (LARGEST_RECORD_BYTES // 2), key=b"k"))
        assert len(await read_all(broker.address, topic)) == 3
        assert "OutOfMemoryError" not in (broker.data_dir / "broker.log").read_text()
        assert broker.pid is not None


@pytest.mark.broker
async def test_the_largest_records_of_several_partitions_are_taken_at_once(
    broker: EmbeddedKafka, topic_prefix: str
) -> None:
    """A client puts one batch of each partition into a request.

    One that is too large would be sent again for ever.
    """
    settings = Settings(kafka=broker.address, partitions=4, topic_prefix=topic_prefix)
    await ensure_topics(settings)
    topic = settings.topic("searches")
    most = LARGEST_RECORD_BYTES - 4096
    async with open_producer(KafkaConnection(kafka=broker.address), linger_ms=0) as producer:
        await producer.send_all(Outgoing(topic, b"x" * most, key=b"k", partition=p) for p in range(3))


@pytest.mark.broker
@pytest.mark.slow
async def test_a_record_that_compaction_has_no_room_for_does_not_end_the_broker(tmp_path: Path) -> None:
    """It ended, and met the record again after each start."""
    policy = {"cleanup.policy": "compact", "segment.ms": "1000", "min.cleanable.dirty.ratio": "0.01"}
    with EmbeddedKafka(tmp_path / "kafka") as broker:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
        await admin.start()
        await admin.create_topics([NewTopic("t", 1, 1, topic_configs=policy)])
        await admin.close()
        before, log = broker.pid, broker.data_dir / "broker.log"
        await write_unpacking(broker.address, "t", 300 << 20)
        async with (
            open_producer(KafkaConnection(kafka=broker.address), linger_ms=0) as producer,
            asyncio.timeout(180),
        ):
            while "OutOfMemoryError" not in log.read_text():
                await producer.send(Outgoing("t", b"v", key=b"other"))
                await asyncio.sleep(0.5)
            await producer.send(Outgoing("t", b"last", key=b"other"))
        found = await read_all(broker.address, "t")
        assert found[-1].value == b"last"
        assert broker.pid == before

"""Writing, and reading a topic without a group: to its end, from an offset, and on."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from broker.errors import MissingTopicError
from broker.producing import open_producer
from broker.reading import Compacted, Reader, open_reader, read_compacted
from broker.records import Outgoing, Record, partition_of
from broker.topics import ensure_topics
from schemas.connections import KafkaConnection
from schemas.settings import Settings
from tests.waiting import DEADLINE_S


@pytest.fixture
async def catalog(kafka: str, topic_prefix: str) -> str:
    settings = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=3)
    await ensure_topics(settings)
    return settings.topic("catalog")


def test_a_tombstone_forgets_its_key_and_a_record_without_key_is_ignored() -> None:
    state = Compacted()
    for offset, (key, value) in enumerate(
        [(b"a", b"1"), (b"b", b"2"), (b"a", None), (None, b"x"), (b"b", b"3")]
    ):
        state.apply(Record("t", 0, offset, 0, key, value))
    assert {k: r.value for k, r in state.records.items()} == {b"b": b"3"}
    assert state.offsets == {0: 5}


def test_the_last_header_of_a_name_counts() -> None:
    record = Record("t", 0, 0, 0, None, None, (("a", b"1"), ("a", b"2")))
    assert (record.header("a"), record.header("b")) == (b"2", None)


# The hashes are those of Kafka's own test of murmur2 (UtilsTest).
@pytest.mark.parametrize(
    ("key", "java_hash"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("abc", 479470107),
    ],
)
@pytest.mark.parametrize("partitions", [1, 3, 4, 512])
def test_keys_go_where_java_clients_send_them(key: str, java_hash: int, partitions: int) -> None:
    assert partition_of(key, partitions) == (java_hash & 0x7FFFFFFF) % partitions


@pytest.mark.broker
async def test_a_compacted_topic_reads_as_its_newest_values(kafka: str, catalog: str) -> None:
    async with open_producer(KafkaConnection(kafka=kafka)) as producer:
        assert await producer.partitions(catalog) == 3
        await producer.send_all(
            Outgoing(catalog, f"old {n}".encode(), key=f"p{n}".encode()) for n in range(30)
        )
        await producer.send_all(
            Outgoing(catalog, f"new {n}".encode(), key=f"p{n}".encode()) for n in range(10)
        )
        await producer.send(Outgoing(catalog, None, key=b"p0"))
    state = await read_compacted(KafkaConnection(kafka=kafka), catalog)
    expected = {f"p{n}".encode(): f"{'new' if n < 10 else 'old'} {n}".encode() for n in range(1, 30)}
    assert {key: record.value for key, record in state.records.items()} == expected
    assert sum(state.offsets.values()) == 41
    assert all(record.partition == partition_of(key.decode(), 3) for key, record in state.records.items())


@pytest.mark.broker
async def test_an_empty_topic_reads_as_nothing(kafka: str, catalog: str) -> None:
    state = await read_compacted(KafkaConnection(kafka=kafka), catalog)
    assert state.records == {}
    assert state.offsets == {0: 0, 1: 0, 2: 0}


@pytest.mark.broker
async def test_a_topic_that_does_not_exist_is_refused_and_not_created(kafka: str, topic_prefix: str) -> None:
    for _ in range(2):
        with pytest.raises(MissingTopicError, match="does not exist"):
            await read_compacted(KafkaConnection(kafka=kafka), f"{topic_prefix}nowhere")


@pytest.mark.broker
async def test_a_reader_goes_on_from_the_offsets_it_is_given(kafka: str, catalog: str) -> None:
    async with open_producer(KafkaConnection(kafka=kafka)) as producer:
        await producer.send_all(Outgoing(catalog, str(n).encode(), key=b"k", partition=1) for n in range(5))
        async with open_reader(KafkaConnection(kafka=kafka), [catalog], start={(catalog, 1): 3}) as reader:
            ends = await reader.end_offsets()
            assert ends == {(catalog, 0): 0, (catalog, 1): 5, (catalog, 2): 0}
            assert [record.value async for record in reader.until(ends)] == [b"3", b"4"]
            assert await reader.positions() == ends
            await producer.send(Outgoing(catalog, b"later", key=b"k", partition=2, headers=(("h", b"x"),)))
            later = await within(reader.poll, timeout_s=120)
    assert [(r.value, r.partition, r.offset, r.header("h")) for r in later] == [(b"later", 2, 0, b"x")]


@pytest.mark.broker
async def test_a_reader_that_starts_at_the_end_sees_only_what_comes(kafka: str, catalog: str) -> None:
    async with open_producer(KafkaConnection(kafka=kafka), linger_ms=0) as producer:
        await producer.send(Outgoing(catalog, b"before", key=b"k"))
        async with open_reader(KafkaConnection(kafka=kafka), [catalog], start="end") as reader:
            await reader.positions()
            await producer.send(Outgoing(catalog, b"after", key=b"k"))
            assert [r.value for r in await within(reader.poll, timeout_s=120)] == [b"after"]


async def within(poll, *, timeout_s: float) -> list[Record]:
    """Poll until something comes. Raises ``TimeoutError``."""
    async with asyncio.timeout(timeout_s):
        while not (records := await poll()):
            pass
    return records


@pytest.mark.broker
@pytest.mark.parametrize("committed", [True, False])
async def test_a_reader_knows_up_to_when_it_has_read_all(kafka: str, catalog: str, committed: bool) -> None:
    async with open_producer(KafkaConnection(kafka=kafka), linger_ms=0) as producer:
        await producer.send_all(Outgoing(catalog, b"1", key=f"p{n}".encode()) for n in range(9))
        written = time.time()
        async with open_reader(KafkaConnection(kafka=kafka), [catalog], committed=committed) as reader:
            assert await reader.complete_at() is None
            found, at = list[Record](), None
            async for at in told(reader, found):
                assert at is None or len(found) == 9
                if at is not None and at > written:
                    break
            await producer.send(Outgoing(catalog, b"2", key=b"p0"))
            later = time.time()
            async for at in told(reader, found):
                if at is not None and at > later:
                    break
            assert [r.value for r in found[9:]] == [b"2"]


async def told(reader: Reader, found: list[Record]) -> AsyncIterator[float | None]:
    """Read on, and yield the moment after each poll."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            found += await reader.poll()
            yield await reader.complete_at()

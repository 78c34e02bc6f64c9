"""Where a moment lies in a topic."""

from datetime import UTC, datetime, timedelta

import pytest

from broker.by_time import written_since
from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing
from broker.topics import ensure_topics
from schemas.connections import KafkaConnection
from schemas.settings import Settings
from tests.topics import write_unpacking

pytestmark = pytest.mark.broker


@pytest.fixture
async def catalog(kafka: str, topic_prefix: str) -> str:
    settings = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=3)
    await ensure_topics(settings)
    return settings.topic("catalog")


async def test_what_came_since_a_moment_is_told_by_offsets(kafka: str, catalog: str) -> None:
    """The moments are the broker's: what a producer says of the time is not taken."""
    async with (
        open_reader(KafkaConnection(kafka=kafka), [catalog]) as reader,
        open_producer(KafkaConnection(kafka=kafka)) as producer,
    ):

        async def written(partition: int) -> int:
            """Write a record and return the broker's time of it, in milliseconds."""
            await producer.send(
                Outgoing(catalog, b"v", key=b"k", partition=partition, timestamp_ms=1_000_000)
            )
            while not (records := await reader.poll()):
                pass
            return records[-1].timestamp_ms

        times = [await written(0)]
        while len(times) < 20 or times[-1] <= times[-2]:
            times.append(await written(0))
        await written(1)
        for moment in times:
            since = await written_since(
                KafkaConnection(kafka=kafka), [catalog], datetime.fromtimestamp(moment / 1000, UTC)
            )
            assert since == {
                (catalog, 0): range(times.index(moment), len(times)),
                (catalog, 1): range(1),
                (catalog, 2): range(0),
            }
        later = await written_since(
            KafkaConnection(kafka=kafka), [catalog], datetime.now(UTC) + timedelta(days=1)
        )
        assert {place: len(offsets) for place, offsets in later.items()} == {
            (catalog, 0): 0,
            (catalog, 1): 0,
            (catalog, 2): 0,
        }


async def test_a_record_that_unpacks_to_more_than_the_brokers_heap_has_its_place(
    kafka: str, catalog: str
) -> None:
    """Asked for the offset of a time, the broker would unpack it, without the memory to do so."""
    await write_unpacking(kafka, catalog, 300 << 20)
    async with open_producer(KafkaConnection(kafka=kafka)) as producer:
        await producer.send(Outgoing(catalog, b"v", key=b"k", partition=0))
    since = await written_since(
        KafkaConnection(kafka=kafka), [catalog], datetime.now(UTC) - timedelta(hours=1)
    )
    assert since[catalog, 0] == range(2)

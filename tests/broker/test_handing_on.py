"""Many records of one call are written as batches of their partitions, and nothing else of them changes."""

import asyncio

import pytest
from aiokafka.errors import MessageSizeTooLargeError, ProducerClosed
from aiokafka.partitioner import murmur2

from broker.handing_on import LEAST_RECORDS, SMALL_BYTES, Turns, fit_for_batches
from broker.producing import BATCH_BYTES, Codec, open_producer
from broker.records import Outgoing, _hash_of, partition_of, partition_of_key
from schemas.connections import KafkaConnection
from tests.broker.foreign_topics import make_topic
from tests.topics import read_all

pytestmark = pytest.mark.broker
PARTITIONS = 3


def many(topic: str, call: int, count: int, *, size: int = 10) -> list[Outgoing]:
    return [
        Outgoing(
            topic,
            f"{call} {n} ".encode().ljust(size, b"x"),
            key=f"k{n % 11}".encode(),
            headers=(("n", b"%d" % n),),
            timestamp_ms=1_770_000_000_000 + n,
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(("linger_ms", "codec"), [(0, "zstd"), (5, "zstd"), (5, "gzip")])
async def test_records_of_calls_side_by_side_arrive_once_in_the_order_of_their_call(
    kafka: str, topic_prefix: str, linger_ms: int, codec: Codec
) -> None:
    topic = f"{topic_prefix}many"
    await make_topic(kafka, topic, max_bytes=1 << 20, partitions=PARTITIONS)
    # More than two batches of each partition; many small ones; and some that travel with those of others
    size = 2 * PARTITIONS * BATCH_BYTES // 400
    calls = [many(topic, 0, 400, size=size), *(many(topic, n, 200) for n in range(1, 8)), many(topic, 8, 3)]
    async with open_producer(KafkaConnection(kafka=kafka), linger_ms=linger_ms, codec=codec) as producer:
        await asyncio.gather(*(producer.send_all(call) for call in calls))
    found = await read_all(kafka, topic)
    for call in calls:
        prefix = (call[0].value or b" ").split()[0] + b" "
        there = [r for r in found if (r.value or b"").startswith(prefix)]
        for partition in range(PARTITIONS):
            assert [
                (r.key, r.value, r.headers, r.timestamp_ms) for r in there if r.partition == partition
            ] == [
                (r.key, r.value, r.headers, r.timestamp_ms)
                for r in call
                if partition_of((r.key or b"").decode(), PARTITIONS) == partition
            ]
    assert len(found) == sum(map(len, calls))


async def test_a_batch_that_the_broker_refuses_costs_only_what_is_too_large_itself(
    kafka: str, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}narrow"
    await make_topic(kafka, topic, max_bytes=2_000)
    small = many(topic, 0, LEAST_RECORDS, size=500)
    large = Outgoing(topic, bytes(3_000), key=b"k")
    async with open_producer(KafkaConnection(kafka=kafka), linger_ms=0) as producer:
        assert await producer.send_fitting([*small, large]) == [large]
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_all([large, *small])
        await producer.send_all(many(topic, 1, 2))
    assert sorted(r.value or b"" for r in await read_all(kafka, topic)) == sorted(
        r.value or b"" for r in [*small, *small, *many(topic, 1, 2)]
    )


async def test_a_deletion_and_a_record_of_a_named_partition_go_in_batches_too(
    kafka: str, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}named"
    await make_topic(kafka, topic, max_bytes=1 << 20, partitions=PARTITIONS)
    records = [Outgoing(topic, None, key=b"gone"), Outgoing(topic, None, partition=1)] * LEAST_RECORDS
    assert fit_for_batches(records)
    async with open_producer(KafkaConnection(kafka=kafka)) as producer:
        await producer.send_all(records)
    found = [(r.partition, r.key, r.value) for r in await read_all(kafka, topic)]
    gone = partition_of("gone", PARTITIONS)
    assert sorted(found) == sorted([(gone, b"gone", None), (1, b"", None)] * LEAST_RECORDS)


@pytest.mark.parametrize(
    "odd",
    [
        Outgoing("t", b"v"),
        Outgoing("t", bytes(SMALL_BYTES), key=b"k"),
        Outgoing("t", b"v", key=b"k", headers=(("h", bytes(SMALL_BYTES)),)),
    ],
    ids=["without a key", "large", "with large headers"],
)
def test_few_records_and_such_as_fit_no_batch_go_alone(odd: Outgoing) -> None:
    good = [Outgoing("t", b"v", key=b"k")] * LEAST_RECORDS
    assert fit_for_batches(good)
    assert not fit_for_batches(good[1:])
    assert not fit_for_batches([*good, odd])


async def test_after_the_last_turn_nothing_is_given_to_a_producer_that_stops():
    """Of a batch that it is given then nobody would hear: whoever waits for a turn is told."""
    turns, go = Turns(), asyncio.Event()

    async def one() -> None:
        async with turns.of(("t", 0)):
            await go.wait()

    first = asyncio.create_task(one())
    await asyncio.sleep(0)
    second = asyncio.create_task(one())
    closing = asyncio.create_task(turns.close())
    await asyncio.sleep(0)
    assert not closing.done(), "it waits for the turn that has begun"
    go.set()
    await asyncio.gather(first, closing)
    with pytest.raises(ProducerClosed):
        await second
    with pytest.raises(ProducerClosed):
        async with turns.of(("t", 1)):
            pass


def test_the_hash_of_a_long_key_is_not_remembered():
    """Strangers choose keys, of up to 64 KiB."""
    short, long = b"a key of this test", b"k" * 60_000
    for key in (short, long):
        assert partition_of_key(key, 12) == (murmur2(key) & 0x7FFFFFFF) % 12
    before = _hash_of.cache_info()
    partition_of_key(long, 12)
    partition_of_key(short, 12)
    after = _hash_of.cache_info()
    assert (after.hits - before.hits, after.misses - before.misses) == (1, 0)

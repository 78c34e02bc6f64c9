"""The topic of events is made anew, or restored in another cluster with lower offsets: counts stay exact."""

import asyncio
from datetime import UTC, datetime

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing
from broker.topics import ensure_topics
from schemas.settings import StreamSettings
from tests.stream.shop import engagements, expected, outgoing, products
from tests.stream.stream_process import StreamProcess, pairs_of

pytestmark = pytest.mark.broker


@pytest.fixture
def first_settings(kafka, topic_prefix, tmp_path):
    return StreamSettings(
        kafka=kafka, topic_prefix=topic_prefix, data_dir=tmp_path, partitions=2, broker_session_timeout_s=6.0
    )


@pytest.fixture
def history():
    """Raw records in two halves, and the pairs of the first and of both."""
    now = datetime.now(UTC)
    raw = engagements(60, 20, until_ms=int(now.timestamp() * 1000))
    raw.sort(key=lambda one: one[2]["timestamp"])
    half = len(raw) // 2
    return raw[:half], raw[half:], expected(raw[:half], now), expected(raw, now)


async def counted(stream, settings, wanted):
    async def all_counted():
        return await pairs_of(settings) == wanted

    await stream.until(all_counted)
    await stream.shows(lambda page: page["ready"])


async def sent(settings, records):
    async with open_producer(settings) as producer:
        await producer.send_all(records)


async def test_events_count_when_their_topic_was_made_anew_between_two_starts(first_settings, history):
    s, (early, late, before, after) = first_settings, history
    await ensure_topics(s)
    await sent(s, outgoing(products(20), s) + outgoing(early, s))
    with StreamProcess(s).start() as stream:
        await counted(stream, s, before)
        assert await asyncio.to_thread(stream.stop) == 0
    await removed(s, s.topic("events"))
    await ensure_topics(s)
    await sent(s, outgoing(late, s))
    with StreamProcess(s).start() as stream:
        await counted(stream, s, after)
        assert await asyncio.to_thread(stream.stop) == 0


async def test_events_count_once_in_a_restored_cluster_that_holds_the_end_of_them(
    first_settings, history, tmp_path
):
    s, (early, late, before, after) = first_settings, history
    restored = s.model_copy(
        update={"topic_prefix": f"{s.topic_prefix}restored.", "data_dir": tmp_path / "restored"}
    )
    await ensure_topics(s)
    await sent(s, outgoing(products(20), s) + outgoing(early[:50], s))
    with StreamProcess(s).start() as stream:
        await counted(stream, s, expected(early[:50], datetime.now(UTC)))
        await sent(s, outgoing(early[50:], s))
        await counted(stream, s, before)
        assert await asyncio.to_thread(stream.stop) == 0
    await ensure_topics(restored)
    for name in ("catalog", "shoppers", "contributions", "pairs"):
        await mirrored(s, restored, name)
    # Mirrored from some time on: other offsets, and events that have been counted are among them.
    assert await mirrored(s, restored, "events", but=1) > 0
    assert await pairs_of(restored) == before
    await sent(restored, outgoing(late, restored))
    with StreamProcess(restored).start() as stream:
        await counted(stream, restored, after)
        assert await asyncio.to_thread(stream.stop) == 0


async def removed(settings, topic):
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        await admin.delete_topics([topic])
        while topic in await admin.list_topics():  # noqa: ASYNC110 (no event of the broker tells)
            await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def mirrored(source, target, name, *, but=0):
    """Copy a topic, without the first records of each partition; return how many there are."""
    topic = target.topic(name)
    async with open_reader(source, [source.topic(name)]) as reader:
        copied = [
            Outgoing(topic, r.value, key=r.key, partition=r.partition, headers=r.headers)
            async for r in reader.until(await reader.end_offsets())
            if r.offset >= but
        ]
    await sent(target, copied)
    return len(copied)

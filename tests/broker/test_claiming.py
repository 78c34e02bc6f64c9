"""One writer per partition, on a real broker: a claim ends the one before it, even with a write in hand."""

import asyncio
from dataclasses import replace

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import ProducerFenced

from broker.claiming import CLAIM_KEY, open_claims
from broker.reading import open_reader, read_compacted
from broker.records import Outgoing
from broker.topics import ensure_topics
from schemas.connections import KafkaConnection
from schemas.settings import Settings

pytestmark = pytest.mark.broker


@pytest.fixture
async def pairs(kafka, topic_prefix):
    settings = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=2)
    await ensure_topics(settings)
    return settings.topic("pairs")


async def values_of(kafka, topic):
    return {
        key: r.value for key, r in (await read_compacted(KafkaConnection(kafka=kafka), topic)).records.items()
    }


async def test_who_claims_last_is_the_only_writer(kafka, pairs):
    old, new = (Outgoing(pairs, value, key=b"k", partition=0) for value in (b"old", b"new"))
    async with (
        open_claims(KafkaConnection(kafka=kafka)) as sleeper,
        open_claims(KafkaConnection(kafka=kafka)) as heir,
    ):
        await sleeper.take([(pairs, 0), (pairs, 1)])
        await sleeper.write_all([replace(old, value=b"first"), replace(old, partition=1, key=b"other")])
        await heir.take([(pairs, 0)])
        await heir.write_all([new])
        with pytest.raises(ProducerFenced):
            await sleeper.write_all([old])
        await sleeper.write_all([replace(old, partition=1, key=b"other", value=b"still mine")])
    assert await values_of(kafka, pairs) == {b"k": b"new", b"other": b"still mine"}


async def test_all_that_earlier_holders_wrote_lies_before_the_mark(kafka, pairs):
    async with (
        open_claims(KafkaConnection(kafka=kafka)) as sleeper,
        open_claims(KafkaConnection(kafka=kafka)) as heir,
    ):
        await sleeper.take([(pairs, 0)])
        writing = [
            asyncio.create_task(sleeper.write_all([Outgoing(pairs, b"%d" % n, key=b"k", partition=0)]))
            for n in range(1)
        ]
        marks = await heir.take([(pairs, 0)])
        await asyncio.gather(*writing, return_exceptions=True)
    async with open_reader(KafkaConnection(kafka=kafka), [pairs], only={(pairs, 0)}) as reader:
        records = [r async for r in reader.until(await reader.end_offsets())]
    assert (
        [r.offset for r in records if r.key == CLAIM_KEY][-1]
        == marks[pairs, 0]
        == max(r.offset for r in records)
    )


async def test_what_is_not_claimed_is_not_written(kafka, pairs):
    async with open_claims(KafkaConnection(kafka=kafka)) as claims:
        await claims.take([(pairs, 1)])
        for partition in (0, None):
            with pytest.raises(LookupError, match="not claimed"):
                await claims.write_all([Outgoing(pairs, b"v", key=b"k", partition=partition)])
        assert await claims.take([]) == {}
        with pytest.raises(LookupError):
            await claims.write_all([Outgoing(pairs, b"v", key=b"k", partition=1)])
    assert await values_of(kafka, pairs) == {}


async def test_a_mark_is_no_value_to_readers_and_an_empty_flush_is_none(kafka, pairs):
    async with open_claims(KafkaConnection(kafka=kafka)) as claims:
        await claims.take([(pairs, 0), (pairs, 1)])
        await claims.write_all([])
    assert await values_of(kafka, pairs) == {}


async def test_a_claim_waits_for_a_broker_that_names_no_broker_yet(kafka, pairs, monkeypatch):
    """After a pause longer than its session a broker names none, not even itself: aiokafka asserts one."""
    asked = []
    lookup = AIOKafkaClient.coordinator_lookup

    async def not_yet(self, *args):
        asked.append(args)
        assert len(asked) > 1, "Did we not perform bootstrap?"
        return await lookup(self, *args)

    monkeypatch.setattr(AIOKafkaClient, "coordinator_lookup", not_yet)
    async with open_claims(KafkaConnection(kafka=kafka)) as claims:
        await claims.take([(pairs, 0)])
        await claims.write_all([Outgoing(pairs, b"v", key=b"k", partition=0)])
    assert await values_of(kafka, pairs) == {b"k": b"v"}

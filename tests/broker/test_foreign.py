"""Topics that others own: what is known of them, and what their refusal does."""

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from broker.foreign import LARGEST_BYTES, TopicFacts, facts_of, open_foreign_producer
from broker.reading import open_reader
from broker.records import Outgoing
from schemas.connections import KafkaConnection
from tests.broker.foreign_topics import make_topic

pytestmark = pytest.mark.broker


async def test_what_a_topic_takes_is_asked_and_a_missing_one_is_neither_found_nor_made(
    kafka: str, topic_prefix: str
):
    small, large, missing = (topic_prefix + name for name in ("small", "large", "missing"))
    await make_topic(kafka, small, max_bytes=2000, partitions=3)
    await make_topic(kafka, large, max_bytes=100 << 20)
    for _ in range(2):
        assert await facts_of(KafkaConnection(kafka=kafka), [small, missing, large]) == {
            small: TopicFacts(3, 2000),
            large: TopicFacts(1, LARGEST_BYTES),
        }
    assert await facts_of(KafkaConnection(kafka=kafka), [missing]) == {}


async def test_a_record_that_is_refused_takes_no_other_with_it_and_stops_none_that_follows(
    kafka: str, topic_prefix: str
):
    topic = topic_prefix + "small"
    await make_topic(kafka, topic, max_bytes=2000)
    async with open_foreign_producer(KafkaConnection(kafka=kafka), record_bytes=2000) as producer:
        values = [b"a", b"x" * 5000, b"b"]
        faults = await producer.send_each([Outgoing(topic, value) for value in values])
        assert [type(fault) for fault in faults] == [type(None), MessageSizeTooLargeError, type(None)]
        assert await producer.send_each([Outgoing(topic, b"c")]) == [None]
        (fault,) = await producer.send_each([Outgoing(topic, b"d", partition=7)])
        assert fault is not None
    async with open_reader(KafkaConnection(kafka=kafka), [topic]) as reader:
        found: list[bytes | None] = []
        while len(found) < 3:
            found += [record.value for record in await reader.poll()]
    assert found == [b"a", b"b", b"c"]

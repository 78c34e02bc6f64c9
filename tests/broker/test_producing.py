"""A record that is too large costs its writer nothing but that record."""

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from broker.dead_letters import cut
from broker.producing import MAX_REQUEST_BYTES, open_producer
from broker.records import Outgoing
from schemas.connections import KafkaConnection
from tests.broker.foreign_topics import make_topic
from tests.topics import read_all

pytestmark = pytest.mark.broker


@pytest.fixture
async def small(kafka: str, topic_prefix: str) -> str:
    name = f"{topic_prefix}small"
    await make_topic(kafka, name, max_bytes=20_000)
    return name


async def test_a_record_without_key_and_value_is_written(kafka: str, small: str) -> None:
    async with open_producer(KafkaConnection(kafka=kafka)) as producer:
        await producer.send_all(
            [Outgoing(small, None, headers=(("dlq.reason", b"schema"),)), Outgoing(small, b"a")]
        )
    assert [r.value for r in await read_all(kafka, small)] == [None, b"a"]


@pytest.mark.parametrize("size", [30_000, MAX_REQUEST_BYTES + 1], ids=["for the broker", "for the producer"])
async def test_what_is_too_large_is_replaced_and_the_producer_goes_on(
    kafka: str, small: str, size: int
) -> None:
    async with open_producer(KafkaConnection(kafka=kafka), linger_ms=0) as producer:
        await producer.send_all(
            [Outgoing(small, b"a"), Outgoing(small, bytes(size), headers=(("dlq.reason", b"x"),))],
            instead=cut,
        )
        await producer.send_all([Outgoing(small, b"b")])
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_all([Outgoing(small, bytes(size)), Outgoing(small, b"c")])
        await producer.send(Outgoing(small, b"d"))
        odd = Outgoing(small, b"e", headers=(("n", bytes(size)),))
        assert await producer.send_fitting([odd, Outgoing(small, b"f"), odd]) == [odd, odd]
        assert await producer.send_fitting([]) == []
    found = [r.value for r in await read_all(kafka, small)]
    assert sorted(v or b"" for v in found) == [b"", b"a", b"b", b"c", b"d", b"f"]

"""Topics that others have made and own.

What a writer must know of them, and a producer that no refusal of theirs stops.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from broker.connecting import client_options
from broker.denials import start
from broker.producing import BATCH_BYTES, MAX_REQUEST_BYTES
from broker.records import Outgoing
from schemas.connections import KafkaConnection

LARGEST_BYTES = MAX_REQUEST_BYTES  # of a record, whatever its topic takes
_REFUSED_AFTER_S = 5.0
_LARGEST = "max.message.bytes"


@dataclass(frozen=True)
class TopicFacts:
    """The number of partitions, and the most bytes of a record that we write there."""

    partitions: int
    record_bytes: int


async def facts_of(connection: KafkaConnection, topics: list[str]) -> dict[str, TopicFacts]:
    """Return the facts of topics.

    One that does not exist is left out, and is not created by asking for it.
    """
    admin = AIOKafkaAdminClient(**client_options(connection))
    try:
        await start(admin, connection)
        # All topics, not these: asking a broker for a topic by name may create it.
        partitions = {
            t["topic"]: len(t["partitions"]) for t in await admin.describe_topics() if t["topic"] in topics
        }
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic, {_LARGEST: None}) for topic in partitions]
        answers = await admin.describe_configs(asked) if asked else []
    finally:
        await admin.close()
    sizes = {
        name: int(value)
        for answer in answers
        for code, _, _, name, entries in answer.resources
        for key, value, *_ in (entries if code == 0 else [])
        if key == _LARGEST
    }
    return {
        topic: TopicFacts(count, min(LARGEST_BYTES, sizes.get(topic, LARGEST_BYTES)))
        for topic, count in partitions.items()
    }


class ForeignProducer:
    """A producer with acks=all and without idempotence.

    What is sent again after a broken connection may be there twice. With idempotence a refused batch would
    leave a gap, and no later one of its partition would be taken.
    """

    def __init__(self, inner: AIOKafkaProducer) -> None:
        self._inner = inner

    async def send_each(self, records: Sequence[Outgoing]) -> list[Exception | None]:
        """Write records; return for each why it was not taken, None where it was. Tries for 5 s at most."""
        return await asyncio.gather(*(self._try(record) for record in records))

    async def _try(self, r: Outgoing) -> Exception | None:
        try:
            async with asyncio.timeout(_REFUSED_AFTER_S):
                await self._inner.send_and_wait(
                    r.topic, r.value, key=r.key, partition=r.partition, headers=list(r.headers)
                )
        except (KafkaError, TimeoutError, AssertionError) as error:
            # An assertion: the topic has no such partition any more
            return error
        return None


@asynccontextmanager
async def open_foreign_producer(
    connection: KafkaConnection, *, record_bytes: int
) -> AsyncIterator[ForeignProducer]:
    """Open one for the length of the block.

    ``record_bytes`` is what the smallest of its topics takes: no batch is larger than that.
    """
    inner = AIOKafkaProducer(
        **client_options(connection, "replies", writes=True),
        acks="all",
        enable_idempotence=False,
        linger_ms=0,
        max_batch_size=min(record_bytes, BATCH_BYTES),
        max_request_size=LARGEST_BYTES,
    )
    try:
        await start(inner, connection)
        yield ForeignProducer(inner)
    finally:
        await inner.stop()

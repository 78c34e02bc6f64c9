"""How far groups are behind: the end of every partition minus what the group has committed.

Joins no group and moves nothing.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from broker.connecting import client_options, consumer_options
from broker.denials import start
from schemas.connections import KafkaConnection

_FORGET_EVERY = 30


class LagReader:
    """Asks the broker, three requests per call, whatever the number of members of the groups."""

    def __init__(self, admin: AIOKafkaAdminClient, inner: AIOKafkaConsumer) -> None:
        self._admin = admin
        self._inner = inner
        self._known: dict[str, list[TopicPartition]] = {}
        self._asked = 0

    async def committed(self, group: str) -> dict[tuple[str, int], int]:
        """Return the next offset to process, per topic and partition.

        A partition that the group has never committed is left out.
        """
        found = await self._admin.list_consumer_group_offsets(group)
        return {
            (tp.topic, tp.partition): int(place.offset) for tp, place in found.items() if place.offset >= 0
        }

    async def lag(self, group: str, topics: Sequence[str]) -> dict[str, int] | None:
        """Return how many records of each topic the group has still to process.

        None when the broker cannot tell now. A partition without a commit counts from its beginning, a topic
        that does not exist counts 0.
        """
        self._asked += 1
        if self._asked % _FORGET_EVERY == 0:
            self._known = {}  # a topic may have got more partitions, or was made anew
        try:
            parts = {topic: await self._partitions(topic) for topic in topics}
            every = [tp for tps in parts.values() for tp in tps]
            ends, begins = await self._inner.end_offsets(every), await self._inner.beginning_offsets(every)
            done = await self.committed(group)
        except KafkaError:
            self._known = {}
            return None
        return {
            topic: sum(
                max(0, ends[tp] - max(done.get((tp.topic, tp.partition), 0), begins[tp])) for tp in tps
            )
            for topic, tps in parts.items()
        }

    async def written(self, topics: Sequence[str]) -> dict[str, int] | None:
        """Return how many records each topic has had since it was made; None when the broker cannot tell."""
        try:
            parts = {topic: await self._partitions(topic) for topic in topics}
            ends = await self._inner.end_offsets([tp for tps in parts.values() for tp in tps])
        except KafkaError:
            self._known = {}
            return None
        return {topic: sum(ends[tp] for tp in tps) for topic, tps in parts.items()}

    async def _partitions(self, topic: str) -> list[TopicPartition]:
        # All topics, not this one: asking a broker for a topic by name may create it
        if topic not in self._known:
            described = await self._admin.describe_topics()
            self._known = {
                t["topic"]: [TopicPartition(t["topic"], p["partition"]) for p in t["partitions"]]
                for t in described
            }
        return self._known.get(topic, [])


@asynccontextmanager
async def open_lag_reader(connection: KafkaConnection) -> AsyncIterator[LagReader]:
    """Open a reader of lags for the length of the block. Raises ``KafkaError`` when no broker is reached."""
    admin = AIOKafkaAdminClient(**client_options(connection))
    inner = AIOKafkaConsumer(**consumer_options(connection), enable_auto_commit=False)
    try:
        await start(admin, connection)
        await start(inner, connection)
        yield LagReader(admin, inner)
    finally:
        await inner.stop()
        await admin.close()

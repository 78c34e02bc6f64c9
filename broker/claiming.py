"""Partitions that have one writer.

A claim takes the right to write from whoever had it, even if that one sleeps with a write in hand. This is
Kafka's own fencing (KIP-98): each partition has a transactional id, a claim raises its epoch, and the broker
refuses older ones. Transactions serve for nothing else here: what is written is valid by itself, so readers
need not wait for the commit.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer

from broker.connecting import client_options
from broker.producing import BATCH_BYTES, MAX_REQUEST_BYTES
from broker.records import Outgoing
from schemas.connections import KafkaConnection

Place = tuple[str, int]
# The key of the record without value that marks a claim. Ids hold no control characters, so it is nobody's
# key.
CLAIM_KEY = b"\x00claim"
_TIMEOUT_MS = 60_000
_PAUSES_S = (1.0, 2.0, 4.0)


class Claims:
    """The partitions that this process may write to.

    A topic that is claimed by some must be written by claim alone. ``share``: which part of each partition's
    keys is claimed, where several writers share a partition by its keys; empty for all.
    """

    def __init__(self, connection: KafkaConnection, role: str = "", share: str = "") -> None:
        self._connection = connection
        self._role = role
        self._share = share
        self._writers: dict[Place, AIOKafkaProducer] = {}
        self._taking = asyncio.Lock()

    async def take(self, places: Iterable[Place]) -> dict[Place, int]:
        """Hold these (topic, partition) and no others.

        Returns the offset of the record that marks each claim. All that earlier holders have written, or ever
        will, lies before that offset: so who has read up to it has read everything.
        """
        return await asyncio.shield(self._take(list(places)))  # half a claim would leave a producer behind

    async def write_all(self, records: Iterable[Outgoing]) -> dict[Place, int]:
        """Write records that name their partition; those of one partition keep their order.

        Returns when all are acknowledged. Returns the offset of the last record by place: between the mark of
        the claim and it lies nothing of anybody else.

        Raises ``KafkaError``: ``ProducerFenced`` when another has claimed since; then nothing of that
        partition counts as written. Raises ``LookupError`` for a partition that is not held.
        """
        parts: dict[Place, list[Outgoing]] = defaultdict(list)
        for record in records:
            if record.partition is None or (record.topic, record.partition) not in self._writers:
                raise LookupError(
                    f"{record.topic}/{record.partition} is not claimed; held are {sorted(self._writers)}"
                )
            parts[record.topic, record.partition].append(record)
        lasts = await asyncio.gather(
            *(self._write(self._writers[place], part) for place, part in parts.items())
        )
        return dict(zip(parts, lasts, strict=True))

    async def _take(self, places: list[Place]) -> dict[Place, int]:
        async with self._taking:
            await self.drop()
            return dict(zip(places, await asyncio.gather(*map(self._claim, places)), strict=True))

    async def drop(self) -> None:
        """Hold nothing any more."""
        writers, self._writers = self._writers, {}
        # A fenced one has nothing to say
        await asyncio.gather(*(writer.stop() for writer in writers.values()), return_exceptions=True)

    async def _claim(self, place: Place) -> int:
        topic, partition = place
        writer = await self._started(place)
        async with writer.transaction():
            marked = await (await writer.send(topic, None, key=CLAIM_KEY, partition=partition))
        return int(marked.offset)

    async def _started(self, place: Place) -> AIOKafkaProducer:
        """Start a writer. A broker that has just come back names no broker at all; aiokafka asserts one."""
        for pause_s in (*_PAUSES_S, None):
            writer = self._writers[place] = self._writer(*place)
            try:
                await writer.start()
            except AssertionError:
                if pause_s is None:
                    raise
                await writer.stop()
                await asyncio.sleep(pause_s)
            else:
                break
        return writer

    def _writer(self, topic: str, partition: int) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **client_options(self._connection, self._role, writes=True),
            transactional_id=f"{topic}-{partition}{self._share and '-' + self._share}",
            transaction_timeout_ms=_TIMEOUT_MS,
            linger_ms=5,
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            compression_type="zstd",
        )

    async def _write(self, writer: AIOKafkaProducer, records: list[Outgoing]) -> int:
        async with writer.transaction():
            waiting = [
                await writer.send(r.topic, r.value, key=r.key, partition=r.partition, headers=list(r.headers))
                for r in records
            ]
            written = await asyncio.gather(*waiting)
        return int(written[-1].offset)


@asynccontextmanager
async def open_claims(
    connection: KafkaConnection, *, role: str = "", share: str = ""
) -> AsyncIterator[Claims]:
    """Hold nothing yet; at the end of the block hold nothing any more."""
    claims = Claims(connection, role, share)
    try:
        yield claims
    finally:
        await claims.drop()

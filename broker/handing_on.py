"""Hand records to a producer of aiokafka: each alone, or as batches of their partitions.

For each record that it is given alone aiokafka makes a future, looks its topic up and hashes its key anew:
more CPU than all else about a small record. Of a batch there is one acknowledgement.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, ProducerClosed

from broker.records import Outgoing, bytes_of, partition_of_key

# Fewer records wait for those of other calls, to travel with them.
LEAST_RECORDS = 32
# A larger record goes alone: the first record of a batch fits, whatever a request may hold.
SMALL_BYTES = 1 << 16
# A record above this waits for the ones before it, and the ones behind wait for it.
_ALONE_BYTES = 1 << 20

# Records that were handed on, with what says when all of them are acknowledged.
Sent = tuple[list[Outgoing], asyncio.Future[object]]


class Turns:
    """Whose turn it is to hand a batch of a topic and partition on; nobody's, once they are closed.

    Of a batch that a stopped producer is given nobody would ever hear.
    """

    def __init__(self) -> None:
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._closed = False

    @asynccontextmanager
    async def of(self, place: tuple[str, int]) -> AsyncIterator[None]:
        """Wait for the turn and hold it for the length of the block. Raises ``ProducerClosed``."""
        async with self._turns[place]:
            if self._closed:
                raise ProducerClosed
            yield

    async def close(self) -> None:
        """Let no more turns begin, and wait for the end of those that have."""
        self._closed = True
        for turn in list(self._turns.values()):
            async with turn:
                pass


async def send_each(
    inner: AIOKafkaProducer, records: Sequence[Outgoing]
) -> tuple[list[Sent], list[Outgoing]]:
    """Hand each record on alone, to travel with those of other calls. Returns, too, which are too large."""
    sent: list[Sent] = []
    too_large: list[Outgoing] = []
    for r in records:
        try:
            one = await inner.send(
                r.topic,
                r.value,
                key=_key_of(r),
                partition=r.partition,
                headers=list(r.headers),
                timestamp_ms=r.timestamp_ms,
            )
        except MessageSizeTooLargeError:
            too_large.append(r)
        else:
            sent.append(([r], one))
            if len(r.value or b"") > _ALONE_BYTES:
                # The library puts a batch of each partition into one request, without a bound: a broker
                # closes the connection at its own (socket.request.max.bytes), and the request would be
                # sent again for ever.
                await asyncio.wait([one])
    return sent, too_large


def fit_for_batches(records: Sequence[Outgoing]) -> bool:
    """Say whether records may be written by ``send_batches``: many, small, and each with a partition."""
    return len(records) >= LEAST_RECORDS and all(_fits(record) for record in records)


def _fits(record: Outgoing) -> bool:
    if record.key is None and record.partition is None:
        return False
    if record.headers:
        return bytes_of(record) <= SMALL_BYTES
    return len(record.key or b"") + len(record.value or b"") <= SMALL_BYTES


async def send_batches(inner: AIOKafkaProducer, turns: Turns, records: Sequence[Outgoing]) -> list[Sent]:
    """Hand records on as batches; those of a partition keep their order.

    Turns are ours: aiokafka's own waiting for a partition is in no order, and its timeout counts the same
    wait again with each batch that goes ahead.
    """
    counts = {topic: len(await inner.partitions_for(topic)) for topic in {r.topic for r in records}}
    sent: list[Sent] = []
    for place, builder, inside in _batches(inner, counts, records):
        builder.close()  # so that it does not linger, and no record of another call comes in
        async with turns.of(place):
            sent.append((inside, await inner.send_batch(builder, place[0], partition=place[1])))
    return sent


def _batches(
    inner: AIOKafkaProducer, counts: dict[str, int], records: Sequence[Outgoing]
) -> list[tuple[tuple[str, int], Any, list[Outgoing]]]:
    """Return batches by place, in the order of their first records."""
    batches: list[tuple[tuple[str, int], Any, list[Outgoing]]] = []
    filling: dict[tuple[str, int], tuple[Any, list[Outgoing]]] = {}
    for r in records:
        partition = (
            partition_of_key(_key_of(r) or b"", counts[r.topic]) if r.partition is None else r.partition
        )
        place = (r.topic, partition)
        builder, inside = filling.get(place, (None, []))
        if builder is None or not _added(builder, r):
            builder, inside = filling[place] = (inner.create_batch(), [])
            batches.append((place, builder, inside))
            _added(builder, r)
        inside.append(r)
    return batches


def _added(builder: Any, r: Outgoing) -> bool:
    """Add a record to a batch; say no where that is full."""
    added = builder.append(timestamp=r.timestamp_ms, key=_key_of(r), value=r.value, headers=list(r.headers))
    return added is not None


def _key_of(r: Outgoing) -> bytes | None:
    """Return the key of a record: Kafka takes one with neither key nor value, aiokafka does not."""
    return b"" if r.key is None and r.value is None else r.key

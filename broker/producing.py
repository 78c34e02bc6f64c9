"""Writing: a record counts as written when the broker has acknowledged it on all replicas, not before."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer

from broker.records import Outgoing

_ALONE_BYTES = 1 << 20


class Producer:
    """An idempotent producer with acks=all. Every method returns after the acknowledgement, or raises ``KafkaError``."""

    def __init__(self, inner: AIOKafkaProducer) -> None:
        self._inner = inner

    async def send(self, record: Outgoing) -> None:
        """Write one record."""
        await self.send_all([record])

    async def send_all(self, records: Iterable[Outgoing]) -> None:
        """Write records; those of one partition keep their order. Returns when all are acknowledged."""
        waiting = []
        for r in records:
            sent = await self._inner.send(
                r.topic, r.value, key=r.key, partition=r.partition, headers=list(r.headers), timestamp_ms=r.timestamp_ms
            )
            waiting.append(sent)
            if len(r.value or b"") > _ALONE_BYTES:
                # The library puts a batch of each partition into one request, without a bound: a broker closes the connection at its
                # own (socket.request.max.bytes), and the request would be sent again for ever.
                await sent
        if waiting:
            await asyncio.gather(*waiting)

    async def partitions(self, topic: str) -> int:
        """Return the number of partitions of a topic."""
        return len(await self._inner.partitions_for(topic))


@asynccontextmanager
async def open_producer(bootstrap: str, *, linger_ms: int = 5, client_id: str = "searchloop") -> AsyncIterator[Producer]:
    """Open a producer for the length of the block. ``linger_ms`` 0 for latency, 20 and more for throughput."""
    inner = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        linger_ms=linger_ms,
        max_batch_size=1 << 18,
        max_request_size=8 << 20,
        compression_type="zstd" if linger_ms else None,
        request_timeout_ms=60_000,
    )
    try:
        await inner.start()
        yield Producer(inner)
    finally:
        await inner.stop()

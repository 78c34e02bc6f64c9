"""Writing: a record counts as written when the broker has acknowledged it on all replicas, not before."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Literal

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from broker.connecting import client_options
from broker.denials import start
from broker.handing_on import Turns, fit_for_batches, send_batches, send_each
from broker.records import TOPIC_BYTES, Outgoing
from broker.signing import Signing
from schemas.connections import KafkaConnection

log = structlog.get_logger(__name__)

Codec = Literal["zstd", "gzip"]

# Below what the topics take, by more than a batch with one record is larger than its record.
MAX_REQUEST_BYTES = TOPIC_BYTES - 1024
# Of small records so many bytes travel together, as one batch of a partition.
BATCH_BYTES = 1 << 18


class Producer:
    """An idempotent producer with acks=all.

    Every method returns after the acknowledgement, or raises ``KafkaError``.
    """

    def __init__(self, build: Callable[[], AIOKafkaProducer], signing: Signing | None = None) -> None:
        """Take how to make the producer.

        It is made and started by ``start``, and made anew when it cannot go on. ``signing``: what signs the
        records whose topics want a signature.
        """
        self._build = build
        self._signing = signing
        self._inner = build()
        self._renewing = asyncio.Lock()
        self._turns = Turns()

    async def start(self) -> None:
        """Connect."""
        await self._inner.start()

    async def stop(self) -> None:
        """Write what waits, and disconnect."""
        await self._turns.close()
        await self._inner.stop()

    async def send(self, record: Outgoing, *, instead: Callable[[Outgoing], Outgoing] | None = None) -> None:
        """Write one record."""
        await self.send_all([record], instead=instead)

    async def send_all(
        self, records: Iterable[Outgoing], *, instead: Callable[[Outgoing], Outgoing] | None = None
    ) -> None:
        """Write records; those of one partition keep their order. Returns when all are acknowledged.

        For a record that is too large, for us or for the broker, what ``instead`` makes of it is written,
        after the others (what shared its batch may be late, too). Without ``instead``, or when that is too
        large as well, ``MessageSizeTooLargeError`` is raised, after the others are written.
        """
        too_large = await self._write(self._signed(records))
        if not too_large:
            return
        if instead is None:
            raise MessageSizeTooLargeError(
                f"{len(too_large)} records for {too_large[0].topic} are too large for the broker"
            )
        log.warning(
            "records are too large and were replaced by smaller ones",
            topic=too_large[0].topic,
            records=len(too_large),
        )
        if left := await self._write([instead(record) for record in too_large]):
            raise MessageSizeTooLargeError(
                f"what {left[0].topic} takes is too small even for a record without content"
            )

    async def send_fitting(self, records: Iterable[Outgoing]) -> list[Outgoing]:
        """Write records as ``send_all`` does.

        Return those that are too large, for us or for the broker, which nobody has written.
        """
        too_large = await self._write(self._signed(records))
        if too_large:
            log.warning(
                "records are too large and were left out", topic=too_large[0].topic, records=len(too_large)
            )
        return too_large

    async def partitions(self, topic: str) -> int:
        """Return the number of partitions of a topic."""
        return len(await self._inner.partitions_for(topic))

    def _signed(self, records: Iterable[Outgoing]) -> list[Outgoing]:
        return [self._signing.signed(r) if self._signing else r for r in records]

    async def _write(self, records: list[Outgoing]) -> list[Outgoing]:
        """Write records and return those that are too large."""
        inner, turns = self._inner, self._turns
        if fit_for_batches(records):
            waiting, too_large = await send_batches(inner, turns, records), list[Outgoing]()
        else:
            waiting, too_large = await send_each(inner, records)
        outcomes = await asyncio.gather(*(sent for _, sent in waiting), return_exceptions=True)
        refused = [
            r
            for (inside, _), outcome in zip(waiting, outcomes, strict=True)
            if isinstance(outcome, MessageSizeTooLargeError)
            for r in inside
        ]
        if refused:
            await self._renew(inner)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, MessageSizeTooLargeError):
                raise outcome
        if len(records) > 1:  # a batch is refused as a whole, for what may be one of its records
            refused = [record for sent in refused for record in await self._write([sent])]
        return too_large + refused

    async def _renew(self, inner: AIOKafkaProducer) -> None:
        """Go on with another producer.

        The refused batch is counted by aiokafka, so the broker would refuse all that follows.
        """
        async with self._renewing:
            if self._inner is inner:
                fresh = self._build()
                await fresh.start()
                turns, self._inner, self._turns = self._turns, fresh, Turns()
                await turns.close()
                await inner.stop()


@asynccontextmanager
async def open_producer(
    connection: KafkaConnection, *, linger_ms: int = 5, role: str = "", codec: Codec = "zstd"
) -> AsyncIterator[Producer]:
    """Open a producer for the length of the block.

    ``linger_ms`` 0 for latency, uncompressed; 20 and more for throughput. ``role``: what it writes, where the
    process has more than one. ``codec``: gzip for what others read too, since not every Kafka client has the
    others built in (kafkajs has gzip alone).
    """

    def build() -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **client_options(connection, role, writes=True),
            acks="all",
            enable_idempotence=True,
            linger_ms=linger_ms,
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            compression_type=codec if linger_ms else None,
        )

    producer = Producer(build, Signing.of(connection))
    try:
        await start(producer, connection)
        yield producer
    finally:
        await producer.stop()

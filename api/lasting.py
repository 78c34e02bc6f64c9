"""A producer that outlives its failures: while Kafka is away, what is to be written waits."""

import asyncio
from collections.abc import Iterable

import structlog

from broker.errors import BrokerError
from broker.producing import Producer, open_producer
from broker.records import Outgoing
from schemas.connections import KafkaConnection

log = structlog.get_logger(__name__)


class LastingProducer:
    """Made anew after each failure, since one that has given up a record may not go on in order."""

    def __init__(self, connection: KafkaConnection, *, linger_ms: int, role: str) -> None:
        self._connection, self._linger_ms, self._role = connection, linger_ms, role
        self._inner: asyncio.Future[Producer] = asyncio.Future()
        self._failed = asyncio.Event()

    async def run(self) -> None:
        """Keep a producer open until cancelled."""
        while True:
            try:
                async with open_producer(
                    self._connection, linger_ms=self._linger_ms, role=self._role
                ) as producer:
                    self._failed.clear()
                    self._inner.set_result(producer)
                    await self._failed.wait()
                    self._inner = asyncio.Future()
            except BrokerError as error:
                log.warning("no producer", role=self._role, reason=str(error))
                await asyncio.sleep(1.0)

    async def send(self, record: Outgoing) -> None:
        """Write one record; returns when it is acknowledged. Raises ``BrokerError``."""
        await self.send_all([record])

    async def send_all(self, records: Iterable[Outgoing]) -> None:
        """Write records; returns when all are acknowledged. Waits while there is no producer.

        Raises ``BrokerError``; then some may be written all the same.
        """
        producer = await asyncio.shield(self._inner)
        try:
            await producer.send_all(records)
        except BrokerError:
            self._failed.set()
            raise

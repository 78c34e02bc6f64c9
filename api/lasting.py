"""A producer that outlives its failures: while Kafka is away nothing is taken, and it says so."""

import asyncio
from collections.abc import Iterable

import structlog

from broker.errors import BrokerError
from broker.producing import Producer, open_producer
from broker.records import Outgoing

log = structlog.get_logger(__name__)


class LastingProducer:
    """Made anew after each failure, since one that has given up a record may not go on in order."""

    def __init__(self, bootstrap: str, *, linger_ms: int, role: str) -> None:
        self._bootstrap, self._linger_ms, self._role = bootstrap, linger_ms, role
        self._inner: Producer | None = None
        self._failed = asyncio.Event()

    async def run(self) -> None:
        """Keep a producer open until cancelled."""
        while True:
            self._failed.clear()
            try:
                async with open_producer(
                    self._bootstrap, linger_ms=self._linger_ms, role=self._role
                ) as inner:
                    self._inner = inner
                    await self._failed.wait()
                    self._inner = None
            except BrokerError as error:
                log.warning("no producer", role=self._role, reason=str(error))
                await asyncio.sleep(1.0)

    async def send(self, record: Outgoing) -> None:
        """Write one record; returns when it is acknowledged. Raises ``BrokerError``."""
        await self.send_all([record])

    async def send_all(self, records: Iterable[Outgoing]) -> None:
        """Write records; returns when all are acknowledged.

        Raises ``BrokerError``; then some may be written all the same.
        """
        inner = self._inner
        if inner is None:
            raise BrokerError("no connection")
        try:
            await inner.send_all(records)
        except BrokerError:
            self._failed.set()
            raise

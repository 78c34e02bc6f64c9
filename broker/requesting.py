"""Ask over Kafka and wait for the answer.

A request topic, a reply topic, a correlation id (the headers that Spring uses).
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from broker.producing import Producer, open_producer
from broker.reading import Reader, open_reader
from broker.records import Outgoing, Record
from schemas.search import CORRELATION_ID, REPLY_TOPIC


class Requester:
    """Sends requests and matches answers by their correlation id, in any order and any number in flight."""

    def __init__(self, producer: Producer, reader: Reader, reply_topic: str) -> None:
        self._producer = producer
        self._reader = reader
        self._reply_topic = reply_topic
        self._waiting: dict[bytes, asyncio.Future[Record]] = {}
        self.duplicates = 0

    async def ask(self, topic: str, value: bytes, *, key: bytes, timeout_s: float) -> Record:
        """Send one request and return its answer. Raises ``TimeoutError`` when none comes in time."""
        correlation = uuid.uuid4().hex.encode()
        future: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        self._waiting[correlation] = future
        headers = ((CORRELATION_ID, correlation), (REPLY_TOPIC, self._reply_topic.encode()))
        try:
            await self._producer.send(Outgoing(topic, value, key=key, headers=headers))
            return await asyncio.wait_for(future, timeout_s)
        finally:
            self._waiting.pop(correlation, None)

    async def pump(self) -> None:
        """Hand answers to those who wait for them, until cancelled."""
        while True:
            for record in await self._reader.poll(timeout_ms=1000):
                correlation = record.header(CORRELATION_ID)
                future = self._waiting.get(correlation) if correlation is not None else None
                if future is None:
                    continue
                if future.done():
                    self.duplicates += 1
                else:
                    future.set_result(record)


@asynccontextmanager
async def open_requester(bootstrap: str, reply_topic: str) -> AsyncIterator[Requester]:
    """Open a requester for the length of the block; it sees only answers written after that."""
    async with (
        open_producer(bootstrap, linger_ms=0) as producer,
        open_reader(bootstrap, [reply_topic], start="end") as reader,
    ):
        await reader.positions()
        requester = Requester(producer, reader, reply_topic)
        pump = asyncio.create_task(requester.pump())
        try:
            yield requester
        finally:
            pump.cancel()
            with suppress(asyncio.CancelledError):
                await pump

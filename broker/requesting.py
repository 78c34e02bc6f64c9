"""Ask over Kafka and wait for the answer.

A request topic, a reply topic, a correlation id (the headers that Spring uses).
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from broker.producing import open_producer
from broker.reading import Reader, open_reader
from broker.records import Headers, Outgoing, Record
from schemas.connections import KafkaConnection
from schemas.search import CORRELATION_ID, REPLY_PARTITION, REPLY_TOPIC


class UnsentError(TimeoutError):
    """The broker did not take a request in time: nobody can have answered it."""


class Sender(Protocol):
    """What writes requests: a producer, or what stands before one."""

    async def send(self, record: Outgoing) -> None:
        """Write one record; returns when it is acknowledged."""


class Requester:
    """Sends requests and matches answers by their correlation id, in any order and any number in flight.

    With ``reply_partition`` answers are asked for on that partition of the reply topic; ``reader`` reads it.
    """

    def __init__(
        self, producer: Sender, reader: Reader, reply_topic: str, reply_partition: int | None = None
    ) -> None:
        self._producer = producer
        self._reader = reader
        self._address: Headers = ((REPLY_TOPIC, reply_topic.encode()),)
        if reply_partition is not None:
            self._address += ((REPLY_PARTITION, reply_partition.to_bytes(4, "big")),)
        self._waiting: dict[bytes, asyncio.Future[Record]] = {}
        self.duplicates = 0

    async def ask(
        self, topic: str, value: bytes, *, key: bytes, timeout_s: float, headers: Headers = ()
    ) -> Record:
        """Send one request, with further ``headers``, and return its answer.

        Raises ``TimeoutError`` when none comes in time, ``UnsentError`` when the request was not even taken.
        """
        correlation = uuid.uuid4().hex.encode()
        future: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        self._waiting[correlation] = future
        request = Outgoing(
            topic, value, key=key, headers=((CORRELATION_ID, correlation), *self._address, *headers)
        )
        sent = False
        try:
            async with asyncio.timeout(timeout_s):
                await self._producer.send(request)
                sent = True
                return await future
        except TimeoutError as error:
            if sent:
                raise
            raise UnsentError(f"the broker did not take a request within {timeout_s:g} s") from error
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
async def open_requester(connection: KafkaConnection, reply_topic: str) -> AsyncIterator[Requester]:
    """Open a requester for the length of the block; it sees only answers written after that."""
    async with (
        open_producer(connection, linger_ms=0) as producer,
        open_reader(connection, [reply_topic], start="end") as reader,
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

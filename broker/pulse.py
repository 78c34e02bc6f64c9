"""Whether Kafka and Milvus still answer.

Asked every few seconds beside the work, so that a process can say so while its work waits. Decides nothing
and ends nothing; a server that hangs is not a fault of the process that waits for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from broker.connecting import consumer_options
from schemas.connections import KafkaConnection

ASK_S = 3.0
SILENT_S = 10.0  # without an answer for so long nobody should be sent here


class Pulse:
    """When a server answered last. Before the first answer the time counts from the making of this object."""

    def __init__(self, server: str = "Kafka", clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        """Note that it answered now."""
        self._last = self._clock()

    def age_s(self) -> float:
        """Return for how long nothing was heard."""
        return self._clock() - self._last

    def fault(self) -> str | None:
        """Return what is wrong, in words; None while it answers."""
        age = self.age_s()
        return f"{self._server} has not answered for {age:.0f} s" if age > SILENT_S else None


async def watch_brokers(connection: KafkaConnection, pulse: Pulse) -> None:
    """Ask for the topics every ``ASK_S`` seconds, for ever.

    A connection that gives no answer is made anew.
    """
    while True:
        inner = AIOKafkaConsumer(**consumer_options(connection, "pulse", within=timedelta(seconds=ASK_S)))
        try:
            async with asyncio.timeout(SILENT_S):
                await inner.start()
            while True:
                async with asyncio.timeout(ASK_S):
                    await inner.topics()
                pulse.beat()
                await asyncio.sleep(ASK_S)
        except (KafkaError, OSError, TimeoutError):
            await asyncio.sleep(1.0)
        finally:
            await inner.stop()


async def watch_server(asked: Callable[[], Awaitable[bool]], pulse: Pulse) -> None:
    """Ask a server every ``ASK_S`` seconds, for ever.

    ``asked`` says whether it answered, and ends by itself when it does not.
    """
    while True:
        if await asked():
            pulse.beat()
        await asyncio.sleep(ASK_S)

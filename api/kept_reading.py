"""What is read from topics when somebody asks, and kept for a minute; while nobody asks nothing is read."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from api.bodies import HttpFault
from broker.errors import BrokerError, MissingTopicError

T = TypeVar("T")
KEPT_S = 60.0
READ_S = 20.0


class KeptReading(Generic[T]):
    """``read`` is called at most once a minute, whoever asks. ``what`` names what it reads."""

    def __init__(self, read: Callable[[], Awaitable[T]], what: str) -> None:
        self._read = read
        self._what = what
        self._found: T | None = None
        self._read_at = 0.0
        self._reading = asyncio.Lock()

    async def found(self) -> T | HttpFault:
        """Return what was read, or that Kafka does not tell."""
        async with self._reading:
            if self._found is None or time.monotonic() - self._read_at > KEPT_S:
                try:
                    async with asyncio.timeout(READ_S):
                        self._found = await self._read()
                except (BrokerError, MissingTopicError, TimeoutError) as error:
                    told = f"{self._what} cannot be read ({type(error).__name__})"
                    return HttpFault(503, "unavailable", told, 1000)
                self._read_at = time.monotonic()
            return self._found

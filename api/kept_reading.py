"""What is read from topics when somebody asks: within a time, by a few at once, or kept for a minute."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from api.bodies import BUSY, Capacity, HttpFault
from broker.errors import BrokerError, MissingTopicError

T = TypeVar("T")
KEPT_S = 60.0
READ_S = 20.0


async def read_in_time(
    read: Callable[[], Awaitable[T]], what: str, *, instead: str | None = None
) -> T | HttpFault:
    """Return what was read, or that Kafka does not tell of ``what``; a command ``instead`` takes its time."""
    try:
        async with asyncio.timeout(READ_S):
            return await read()
    except (BrokerError, MissingTopicError, TimeoutError) as error:
        told = f"{what} cannot be read ({type(error).__name__})"
        return HttpFault(503, "unavailable", f"{told}; `{instead}` takes its time" if instead else told, 1000)


async def read_by_few(
    places: Capacity, read: Callable[[], Awaitable[T]], what: str, *, instead: str | None = None
) -> T | HttpFault:
    """Return what ``read_in_time`` does, or that too many read already."""
    place = places.enter()
    if place is None:
        return BUSY
    with place:
        return await read_in_time(read, what, instead=instead)


class KeptReading(Generic[T]):
    """``read`` is called at most once a minute, whoever asks, and not while nobody does.

    ``what`` names what it reads.
    """

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
                found = await read_in_time(self._read, self._what)
                if isinstance(found, HttpFault):
                    return found
                self._found = found
                self._read_at = time.monotonic()
            return self._found

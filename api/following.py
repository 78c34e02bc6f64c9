"""Keep up with the topics of operators: one reader for all of them, and how fresh what it has read is."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from api.operator_state import OperatorState
from broker.reading import Reader
from process.health import Health

# After so many records requests get their turn.
_TURN = 20
# So long a change may take to come back from its topic before it is answered.
_OWN_WRITE_S = 5.0


class StateFollower:
    """Run ``follow`` as one task; ``state`` is what was read.

    ``as_of``: all that was written before is in it; None until all is read that the topics held at the start.
    """

    def __init__(self, state: OperatorState) -> None:
        self.state = state
        self.as_of: datetime | None = None
        self._moved = asyncio.Event()
        self._came = asyncio.Event()

    async def follow(self, reader: Reader, health: Health) -> None:
        """Follow until cancelled. Raises ``KafkaError`` when the broker is gone for good."""
        while True:
            records = await reader.poll(timeout_ms=1000)
            for count, record in enumerate(records, start=1):
                self.state.take(record)
                if count % _TURN == 0:  # a decision is large
                    await asyncio.sleep(0)
            if (at := await reader.complete_at()) is not None:
                self.as_of = datetime.fromtimestamp(at, UTC)
                health.detail["as_of"] = self.as_of.isoformat(timespec="seconds")
            pointer = self.state.releases.pointer
            health.detail["generation"] = pointer.live.generation if pointer else None
            self._moved.set()
            self._moved = asyncio.Event()
            if records:
                self._came.set()
                self._came = asyncio.Event()

    async def next_move(self, *, within_s: float) -> None:
        """Wait until records come, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._came.wait()

    async def seen(self, holds: Callable[[], bool], *, within_s: float = _OWN_WRITE_S) -> None:
        """Wait until something holds of what was read, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not holds():
                    await self._moved.wait()

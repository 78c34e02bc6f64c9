"""Keep up with the topics of operators: one reader for all of them, and how fresh what it has read is."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from api.kept_letters import Letters
from api.operator_state import OperatorState
from broker.group_lag import open_lag_reader
from broker.reading import Reader, open_reader
from process.health import Health
from schemas.connections import KafkaConnection

# After so many records requests get their turn.
_TURN = 20
# Of the letters of a topic so many are read at the start; anybody may have made them, and large.
LETTERS_READ = 500
_FETCH_BYTES = 1 << 20
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


async def follow_letters(connection: KafkaConnection, letters: Letters) -> None:
    """Keep up with dead letters until cancelled; of those that are there, the newest alone are read."""
    topics = letters.topics
    async with open_lag_reader(connection) as ends:
        written = await ends.written(topics) or {}
    start = {(topic, 0): max(0, written.get(topic, 0) - LETTERS_READ) for topic in topics}
    async with open_reader(connection, topics, start=start, fetch_bytes=_FETCH_BYTES) as reader:
        while True:
            for count, letter in enumerate(await reader.poll(timeout_ms=1000), start=1):
                letters.take(letter)
                if count % _TURN == 0:
                    await asyncio.sleep(0)

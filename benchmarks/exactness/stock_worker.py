"""A stream process as it would be with Faust's own recovery and a plain producer for its changelogs.

The contrast, never used otherwise. ``python -m benchmarks.exactness.stock_worker``. Everything else, fences
and steps, is ours.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from faust.tables.manager import TableManager

import stream.__main__
import stream.app
from broker.producing import Producer, open_producer
from broker.records import Outgoing
from schemas.connections import KafkaConnection


class StockTableManager(TableManager):  # type: ignore[misc]
    """Faust's, with the two names that our app sets."""

    begin_at: Any = None
    restoring: Any = None


class Unclaimed:
    """Writes without asking whose the partition is."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    async def write_all(self, records: Iterable[Outgoing]) -> dict[tuple[str, int], int]:
        """Write records as they come; where they lie is not told."""
        await self._producer.send_all(records)
        return {}


@asynccontextmanager
async def unclaimed(connection: KafkaConnection, *, role: str) -> AsyncIterator[Unclaimed]:
    """Stand where ``open_claims`` stands."""
    async with open_producer(connection, role=role) as producer:
        yield Unclaimed(producer)


if __name__ == "__main__":
    setattr(stream.app, "SafeTableManager", StockTableManager)  # noqa: B010 (it is no public name of the module)
    setattr(stream.app, "open_claims", unclaimed)  # noqa: B010
    stream.__main__.main()

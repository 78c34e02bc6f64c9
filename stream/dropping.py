"""Remove the pairs that are nobody's.

No client stands in them and no credit, so all that is left is the text of a query. An erasure leaves such a
pair when it takes the last client, and so do purchases that were all refunded. Its fence must stay as long as
anything it has counted may come again. So a pair goes ``empty_pairs_kept`` after it was first seen here, for
a worker that wakes up late and writes once more what was written for it, and not before both agents have
committed beyond all of it. Needs a record of the partition to go with.
"""

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from credit.places import offset_of
from schemas.pairs import Pair

Place = tuple[str, int]
# Of the group of both agents: the next offset by topic and partition; empty when the broker cannot tell now.
Committed = Callable[[], Awaitable[Mapping[Place, int]]]
EVERY_S = 30.0
# The bytes of a pair when they were first seen, the offset that its partition had then reached, and when that
# was.
Seen = tuple[bytes, int, float]


class NamedTable(Protocol):
    """What dropping needs of a table."""

    def read(self, key: bytes) -> bytes | None: ...  # noqa: D102
    def remove(self, key: bytes, event: Any) -> None: ...  # noqa: D102
    def unnamed(self, partition: int) -> list[bytes]: ...  # noqa: D102


class Dropping:
    """Looks every ``EVERY_S`` at the pairs without clients of the partitions that have records.

    ``kept``: how long they stay after they were first seen; ``clock`` counts seconds.
    """

    def __init__(
        self,
        table: NamedTable,
        committed: Committed,
        *,
        events: str,
        contributions: str,
        kept: timedelta,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table, self._committed, self._clock = table, committed, clock
        self._events, self._contributions, self._kept_s = events, contributions, kept.total_seconds()
        self._looked: dict[int, float] = {}
        self._seen: dict[int, dict[bytes, Seen]] = {}

    async def run(self, batch: Sequence[Any]) -> list[bytes]:
        """Remove what may go, with the records of the batch; return its keys."""
        now, gone = self._clock(), []
        for partition, record in {record.message.partition: record for record in batch}.items():
            if now - self._looked.get(partition, -EVERY_S) < EVERY_S:
                continue
            self._looked[partition] = now
            before = self._seen.get(partition, {})
            seen = self._seen[partition] = {
                key: self._look(key, before.get(key), record.message.offset, now)
                for key in self._table.unnamed(partition)
            }
            due = [key for key, (_, _, since) in seen.items() if now - since >= self._kept_s]
            done = await self._committed() if due else {}
            for key in due:
                if self._is_counted(*seen[key], partition, done):
                    self._table.remove(key, record)
                    del seen[key]
                    gone.append(key)
        return gone

    def _look(self, key: bytes, seen: Seen | None, offset: int, now: float) -> Seen:
        stored = self._table.read(key) or b""
        if seen is not None and seen[0] is stored:
            return seen
        return stored, offset, now if is_nobodys(Pair.from_json(stored)) else math.inf

    def _is_counted(
        self, stored: bytes, reached: int, _since: float, partition: int, done: Mapping[Place, int]
    ) -> bool:
        fence = Pair.from_json(stored).fence
        return done.get((self._contributions, partition), 0) > reached and all(
            done.get((self._events, source), 0) > offset_of(position[0]) for source, position in fence.items()
        )


def is_nobodys(pair: Pair) -> bool:
    """Say whether nothing of anybody is in a pair.

    Credit without a name is of clients beyond those that a pair can name.
    """
    return not pair.clients and all(
        credit <= 0 for row in pair.days.values() for credit, _units, _revenue in row.values()
    )

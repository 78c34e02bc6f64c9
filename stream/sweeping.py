"""Look after what nobody touches.

Every so often in event time every value of a partition is looked at, some of them in each step. Time is the
newest event time of a partition, as this worker has heard it; without new events nothing grows, so nothing
needs tending.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

LOOKED_AT_ONCE = 2000
# What becomes of a stored value at a time, in a partition: the same object when all is well, other bytes, or
# None to remove it.
Tend = Callable[[bytes, int, int], bytes | None]


class SweptTable(Protocol):
    """What a sweep needs of a table."""

    def read(self, key: bytes) -> bytes | None: ...  # noqa: D102
    def write(self, key: bytes, value: bytes, event: Any) -> None: ...  # noqa: D102
    def remove(self, key: bytes, event: Any) -> None: ...  # noqa: D102
    def keys_of(self, partition: int) -> list[bytes]: ...  # noqa: D102


class Sweep:
    """Tends the values of one table, each about once in ``every_ms``."""

    def __init__(self, table: SweptTable, tend: Tend, every_ms: int) -> None:
        self._table, self._tend, self._every_ms = table, tend, every_ms
        self._newest: dict[int, int] = {}
        self._looked: dict[int, int] = {}
        self._due: dict[int, list[bytes]] = {}

    def hear(self, partition: int, at_ms: int) -> None:
        """Take in the time of an event."""
        if at_ms > self._newest.get(partition, 0):
            self._newest[partition] = at_ms

    def run(self, batch: Sequence[Any]) -> list[bytes]:
        """Tend the partitions of a batch, ``LOOKED_AT_ONCE`` values of each and no more.

        Return the keys that were written or removed.
        """
        changed = []
        for partition, record in {record.message.partition: record for record in batch}.items():
            now = self._newest.get(partition, 0)
            due = self._due.setdefault(partition, [])
            if not due and now - self._looked.get(partition, 0) >= self._every_ms:
                self._looked[partition] = now
                due += self._table.keys_of(partition)
            for key in due[-LOOKED_AT_ONCE:]:
                stored = self._table.read(key)
                if stored is None:
                    continue
                after = self._tend(stored, now, partition)
                if after is stored:
                    continue
                if after is None:
                    self._table.remove(key, record)
                else:
                    self._table.write(key, after, record)
                changed.append(key)
            del due[-LOOKED_AT_ONCE:]
        return changed

"""Up to where each partition is done, although requests are answered out of order: what may be committed.

Pure; for one thread.
"""

from collections import deque
from dataclasses import replace

from broker.records import Record


class Progress:
    """Records of one assignment, in the order of their partitions' logs."""

    def __init__(self) -> None:
        self._open: dict[int, deque[Record]] = {}
        self._done: dict[int, set[int]] = {}

    def read(self, record: Record) -> None:
        """Note that a record was read and is not done yet."""
        self._open.setdefault(record.partition, deque()).append(
            replace(record, key=None, value=None, headers=())
        )
        self._done.setdefault(record.partition, set())

    def done(self, record: Record) -> None:
        """Note that nothing is left to do for a record.

        One that was read under another assignment is ignored.
        """
        waiting = self._open.get(record.partition)
        if waiting and record.offset >= waiting[0].offset:
            self._done[record.partition].add(record.offset)

    def committable(self) -> list[Record]:
        """Return, and forget, the last record of each partition up to which all are done.

        A partition where nothing has moved is left out.
        """
        found = []
        for partition, waiting in self._open.items():
            done, last = self._done[partition], None
            while waiting and waiting[0].offset in done:
                last = waiting.popleft()
                done.discard(last.offset)
            if last is not None:
                found.append(last)
        return found

"""Whether the data directory's disk is full, told once when it becomes so and once when there is room again.

Bytes throughout. It only tells. Whoever cannot write ends or tries again by itself: Kafka stops, and is
started again until it can write.
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# Between the two nothing is told, so that a disk at its edge is not told at each look
_FULL, _ROOM = 16 << 20, 64 << 20


class DiskWatch:
    """What was last told of the disk that holds ``folder``. ``look`` is called every few seconds."""

    def __init__(
        self, folder: Path, tell: Callable[[str], None], *, free: Callable[[Path], int] | None = None
    ) -> None:
        self._folder = folder
        self._tell = tell
        self._free = free or (lambda path: shutil.disk_usage(path).free)
        self.full = False

    def look(self) -> None:
        """Tell when the disk has become full, or has room again."""
        with suppress(OSError):  # a folder that cannot be looked at is somebody else's fault to tell
            free = self._free(self._folder)
            if not self.full and free < _FULL:
                self.full = True
                self._tell(
                    f"the disk of {self._folder} is full ({free >> 20} MB free): what cannot write ends "
                    "and is started again, at most "
                    "30 s apart, until it can. Nothing acknowledged is lost. Make room; everything then "
                    "comes back by itself"
                )
            elif self.full and free >= _ROOM:
                self.full = False
                self._tell(f"the disk of {self._folder} has room again ({free >> 20} MB free)")

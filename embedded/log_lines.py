"""What the children say.

Each line with the name of its process to our stdout, and without it to a file of that process. A file holds
at most 10 MB, with one predecessor. Writing never waits for the event loop: every child has a thread that
reads it.
"""

import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

from schemas.printable import printable

_MOST_BYTES = 10 << 20
_LONGEST_LINE = 64 << 10
_console = threading.Lock()


class LineLog:
    """The log of one process. ``quiet`` keeps it off stdout."""

    def __init__(self, name: str, path: Path, *, quiet: bool) -> None:
        self.name = name
        self.path = path
        self._quiet = quiet
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def write(self, line: str) -> None:
        """Add one line.

        A full disk or a closed terminal loses the line, not the process. Nothing in it controls a terminal.
        """
        line = printable(line)
        with suppress(OSError):
            if self.path.exists() and self.path.stat().st_size > _MOST_BYTES:
                self.path.replace(self.path.with_suffix(".log.1"))
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        if not self._quiet:
            with _console, suppress(OSError):
                sys.stdout.write(f"{self.name:<8} | {line}\n")
                sys.stdout.flush()

    def follow(self, stream: IO[bytes]) -> threading.Thread:
        """Write what comes from a child until it closes its output.

        In a thread that does not keep us alive; it is returned, and ends when all is written.
        """

        def pump() -> None:
            with stream:
                while chunk := stream.readline(_LONGEST_LINE):
                    if line := chunk.decode("utf-8", errors="replace").rstrip():
                        self.write(line)

        thread = threading.Thread(target=pump, name=f"log-{self.name}", daemon=True)
        thread.start()
        return thread

    def tail(self, lines: int = 15) -> str:
        """Return the newest lines, indented, for a message."""
        found = self.path.read_text(errors="replace").splitlines()[-lines:] if self.path.exists() else []
        return "\n".join(f"  {line}" for line in found) or "  (it said nothing)"

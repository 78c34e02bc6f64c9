"""The last guard against orphans.

When the supervisor dies without a word, every group of processes it had started is killed. Runs as a process
of its own and reads lines from stdin: ``+PID`` a group was started, ``-PID`` it is gone. The end of stdin
means that the supervisor is gone. It covers what a child started itself, which a signal at the parent's death
does not reach.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


class Guardian:
    """The supervisor's end: tell it what was started and what is gone, and ``close`` it last."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).absolute())],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def watch(self, pid: int) -> None:
        """Kill this group when we die."""
        self._tell(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """The group is gone, and its number may soon belong to somebody else."""
        self._tell(f"-{pid}\n")

    def close(self) -> None:
        """Let it end. Groups that were not forgotten are killed."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            # Somebody killed it; the children still die with their parent on Linux
            with suppress(BrokenPipeError):
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()


def guard(lines: BinaryIO) -> None:
    """Follow the lines to their end, then kill what is left."""
    groups: set[int] = set()
    for line in lines:
        pid = int(line[1:])
        groups.add(pid) if line.startswith(b"+") else groups.discard(pid)
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    guard(sys.stdin.buffer)

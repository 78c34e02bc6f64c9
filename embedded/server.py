"""A server of this machine: prepared, started, waited for, stopped. What Kafka and Milvus have in common.

It knows nothing of restarts: the supervisor takes ``prepare``, ``command`` and ``answers`` and looks after
the process itself.
"""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from embedded.errors import NotReadyError
from embedded.launching import child_environ, launch, stop


class LocalServer(ABC):
    """One server process on 127.0.0.1 with one folder.

    Use it as a context manager, or ``start`` and ``stop``.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def address(self) -> str:
        """What a client connects to. Known after ``prepare``."""

    @abstractmethod
    def prepare(self) -> None:
        """Write what the server needs before it starts, and choose its port.

        Takes seconds the first time. Raises ``EmbeddedError``.
        """

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command line, after ``prepare``."""

    @abstractmethod
    def answers(self) -> bool:
        """Say whether the server answers a request now; returns within about a second."""

    @property
    def log_path(self) -> Path:
        """Where ``start`` sends the server's output."""
        return self.data_dir / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, *, deadline_s: float = 120.0) -> None:
        """Prepare, start and wait until it answers.

        Raises ``NotReadyError`` with the end of its log when it does not.
        """
        self.prepare()
        with self.log_path.open("ab") as log:
            self._process = launch(self.command(), child_environ(os.environ), log)
        end = time.monotonic() + deadline_s
        while not self.answers():
            status = self._process.poll()
            if status is not None or time.monotonic() > end:
                self.stop(deadline_s=1.0)
                found = (
                    f"ended with status {status}"
                    if status is not None
                    else f"did not answer within {deadline_s:.0f} s"
                )
                raise NotReadyError(
                    f"{self.name} {found}; the end of {self.log_path}:\n{_tail(self.log_path)}"
                )
            time.sleep(0.05)

    def stop(self, *, deadline_s: float = 15.0) -> int | None:
        """Stop it, by force after the deadline. Returns the exit status, None when it was not running."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        return stop(process, self.stop_signal, deadline_s)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would; nothing happens when it does not run."""
        if self._process is not None:
            process, self._process = self._process, None
            stop(process, signal.SIGKILL, deadline_s=5.0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(empty)"

"""One child process that is kept running.

Started, its output followed, started again when it ends, stopped when asked. It does not know what the child
is for, nor when it is ready.
"""

import asyncio
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

from embedded.errors import EmbeddedError
from embedded.guardian import Guardian
from embedded.launching import launch, signal_group
from embedded.log_lines import LineLog
from embedded.restarts import MISUSED, next_delay

_LAST_WORDS_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a child is started.

    ``prepare`` runs before each start again (not the first) and may raise ``EmbeddedError``.
    """

    command: list[str]
    environ: Mapping[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    niceness: int = 0
    prepare: Callable[[], None] = lambda: None


class Child:
    """A named child. ``keep`` runs as a task for as long as the child should live."""

    def __init__(
        self, name: str, how: Launch, log: LineLog, guardian: Guardian, changed: Callable[[], None]
    ) -> None:
        self.name = name
        self.log = log
        self.restarts = 0
        self.refused: str | None = None
        self._how = how
        self._guardian = guardian
        self._changed = changed
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def cpu_s(self) -> int:
        """Return the whole seconds of CPU that the process has used, 0 while it does not run."""
        try:
            times = psutil.Process(self.pid).cpu_times() if self.pid is not None else None
        except psutil.Error:
            return 0
        return int(times.user + times.system) if times is not None else 0

    async def keep(self) -> None:
        """Start the child, and start it again each time it ends.

        Returns when it was stopped, or refused its settings. However this ends, neither the child nor
        anything that it started is left.
        """
        loop = asyncio.get_running_loop()
        delay: float | None = None
        while not self._stopping.is_set():
            begun = loop.time()
            status = await self._once()
            if self._stopping.is_set():
                return
            if status == MISUSED:
                self.refused = (
                    f"{self.name} refused to start (exit status {MISUSED}) and is not started again"
                )
                self.log.write(f"[up] {self.refused}")
                self._changed()
                return
            delay = next_delay(delay, loop.time() - begun)
            self.log.write(
                f"[up] {self.name} ended ({_spoken(status)}) after {loop.time() - begun:.1f} s; next start "
                f"in {delay:g} s"
            )
            self._changed()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
            self.restarts += 1

    def kill(self) -> None:
        """End the process with SIGKILL, as a crash would. ``keep`` starts it again."""
        if self._process is not None:
            self._process.kill()

    async def stop(self, deadline_s: float, hurry: asyncio.Event) -> None:
        """Stop it for good: its signal, then SIGKILL after the deadline or as soon as ``hurry`` is set.

        ``keep`` then returns.
        """
        self._stopping.set()
        process, loop = self._process, asyncio.get_running_loop()
        if process is None:
            return
        end = loop.time() + deadline_s
        process.send_signal(self._how.stop_signal)
        await _until(lambda: process.poll() is not None or loop.time() > end or hurry.is_set())
        if process.poll() is None:
            self.log.write(f"[up] {self.name} did not stop in time and is killed")
            process.kill()

    async def _once(self) -> int | None:
        """Run the child from start to end. Returns its exit status, None when it could not be started."""
        try:
            if self.restarts:
                self._how.prepare()
            process = launch(
                self._how.command, self._how.environ, subprocess.PIPE, niceness=self._how.niceness
            )
        except (EmbeddedError, OSError) as error:
            self.log.write(f"[up] {self.name} could not be started: {error}")
            return None
        self._process = process
        words = self.log.follow(process.stdout) if process.stdout is not None else None
        try:
            self._guardian.watch(process.pid)
            self._changed()
            await _until(lambda: process.poll() is not None)
        finally:
            signal_group(process.pid, signal.SIGKILL)
            process.wait()
            self._guardian.forget(process.pid)
            self._process = None
        # Its last words come before ours of its end; who has left its group may hold its output open for ever
        end = asyncio.get_running_loop().time() + _LAST_WORDS_S
        await _until(lambda: words is None or not words.is_alive() or asyncio.get_running_loop().time() > end)
        return process.returncode


async def _until(condition: Callable[[], bool]) -> None:
    """Wait for a process by asking.

    That takes neither a thread per child nor a handler of SIGCHLD that others might replace.
    """
    while not condition():  # noqa: ASYNC110 (nothing sets an event when a process ends)
        await asyncio.sleep(0.05)


def _spoken(status: int | None) -> str:
    if status is None:
        return "not started"
    return f"exit status {status}" if status >= 0 else signal.Signals(-status).name

"""A real process under test: started, waited for, killed, stopped; what it says, shows and does to topics.

Open it as a context: at the end nothing of it runs, and its last lines stand beside a test that has failed.
"""

import inspect
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import psutil

from broker.reading import open_reader
from broker.records import Record
from broker.topics import ensure_topics
from embedded.launching import child_environ, stop
from schemas.settings import PROCESS_SETTINGS, Settings
from tests.topics import KeyAndValue, read_all, write
from tests.waiting import DEADLINE_S, until

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
START_CPU_S = 120.0  # a start takes about 5
# A process that ends with ours, on Linux. Not by ``launch``: that forks and runs Python before the program,
# and with gRPC at work here, as in tests of Milvus, one such child in 150 aborted.
BEGIN = """
import ctypes, os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL.value)
os.execvp(sys.argv[1], sys.argv[1:])
"""
PAGE_TIMEOUT = aiohttp.ClientTimeout(total=60)


def environ_with(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child process, with these settings and no others."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SEARCHLOOP_")}
    return child_environ(clean, **settings)


def run_cli(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a verb as an operator does, to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *arguments],
        env=environ_with(settings),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def run_verb(settings: Settings, *arguments: str, code: int = 0) -> Any:
    """Return what a verb prints as JSON, or its stderr when it is to fail."""
    done = run_cli(*arguments, "--json", **settings.environ())
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


class ProcessUnderTest:
    """Any program. What it prints goes to ``log``, of all its lives."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self._command, self._environ, self._log = list(command), environ, log
        log.write_bytes(b"")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        sys.stdout.write(f"{self._log} ends with:\n{self.log()[-5000:]}")  # pytest shows it after a failure

    def start(self, **settings: object) -> Self:
        """Start it, with these settings beside those it has."""
        said = {f"SEARCHLOOP_{name.upper()}": str(value) for name, value in settings.items()}
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", BEGIN, *self._command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self._environ, **said},
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        assert self._process, "it is not started, or was ended"
        return self._process.pid

    def send_signal(self, number: signal.Signals) -> None:
        """To the process alone, not to what it has started."""
        assert self._process
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; return the exit status."""
        assert self._process
        return self._process.wait(DEADLINE_S)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it in order; return the exit status, that of SIGKILL when it did not end."""
        assert self._process
        process, self._process = self._process, None
        return stop(process, number, DEADLINE_S)

    def kill(self) -> None:
        if self._process:
            self.stop(signal.SIGKILL)

    def ended(self) -> bool:
        """Whether it has ended, and nobody here had asked for that."""
        return self._process is not None and self._process.poll() is not None

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    async def says(self, *texts: str) -> None:
        """Wait until it has printed all of them, in any order."""
        await self.until(lambda: all(text in self.log() for text in texts), f"it says {texts}")

    def cpu_s(self) -> float:
        """How much it has worked since it was started last, in seconds."""
        return sum(psutil.Process(self.pid).cpu_times()[:2])

    async def until(
        self,
        condition: Callable[[], Awaitable[T] | T],
        what: str = "",
        *,
        pause_s: float = 0.2,
        moving: Callable[[], object] = lambda: None,
    ) -> T:
        """Wait for a condition; the time counts anew while the log grows, too.

        Fails at once when the process ends.
        """

        what = what or condition.__name__

        async def held() -> T:
            ended = self.ended()  # looked at first: it may end by what fulfils the condition
            found = condition()
            found = await found if inspect.isawaitable(found) else found
            assert found or not ended, f"it has ended, status {self.wait()}: {what}"
            return found

        return await until(held, what, pause_s=pause_s, moving=lambda: (self._log.stat().st_size, moving()))


class SearchloopProcess(ProcessUnderTest):
    """One with our settings, pages and topics; ``settings`` as the fixture ``settings_env`` says them."""

    def __init__(
        self, name: str, settings: Mapping[str, str], *arguments: str, command: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.settings = PROCESS_SETTINGS.get(name, Settings).load(settings)
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        command = command or [sys.executable, "-m", name, *arguments]
        super().__init__(command, environ_with(settings), self.settings.data_dir / f"{name}.log")

    async def page(self, page: str) -> str:
        """Return a page, asked anew until the process answers: a loaded machine gives it its share later."""

        async def answer() -> str | None:
            with suppress(OSError, ValueError, KeyError, aiohttp.ClientError):
                announced = json.loads((self.settings.data_dir / "run" / f"{self.name}.json").read_text())
                async with (
                    aiohttp.ClientSession(timeout=PAGE_TIMEOUT) as session,
                    session.get(f"http://127.0.0.1:{announced['port']}/{page}") as response,
                ):
                    return await response.text()
            return None

        return await self.until(answer, f"/{page} answers", moving=lambda: min(self.cpu_s(), START_CPU_S))

    async def readyz(self) -> dict[str, object]:
        return dict(json.loads(await self.page("readyz")))

    async def shows(self, holds: Callable[[dict[str, object]], object]) -> dict[str, object]:
        """Wait until ``/readyz`` fulfils the condition; return it."""

        async def found() -> dict[str, object] | None:
            return page if holds(page := await self.readyz()) else None

        return await self.until(found, "/readyz shows it")

    async def ensure_topics(self) -> None:
        await ensure_topics(self.settings)

    async def send(self, topic: str, *records: KeyAndValue) -> None:
        await write(self.settings, topic, *records)

    async def records(self, topic: str) -> list[Record]:
        """Every record that the topic still holds."""
        return await read_all(self.settings.kafka, self.settings.topic(topic))

    async def follow(self, topic: str, holds: Callable[[list[Record]], object]) -> list[Record]:
        """Follow a topic from its beginning until what it had holds."""
        found: list[Record] = []
        async with open_reader(self.settings, [self.settings.topic(topic)]) as reader:

            async def enough() -> object:
                found.extend(await reader.poll(timeout_ms=200))
                return holds(found)

            await self.until(enough, f"{topic} holds it", pause_s=0, moving=lambda: len(found))
        return found

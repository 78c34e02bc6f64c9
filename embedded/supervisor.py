"""Everything on this machine as one thing: Kafka, Milvus, then searchloop's processes.

Kept running, and ended in reverse order. ``SEARCHLOOP_KAFKA`` and ``SEARCHLOOP_MILVUS`` name servers that
exist; those are used, never started or stopped. Every topic is made by the processes themselves. State lies
in the data directory, and the next start finds it again.
"""

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from embedded.background import in_background
from embedded.child import Child, Launch
from embedded.disk import DiskWatch
from embedded.errors import NotReadyError
from embedded.guardian import Guardian
from embedded.kafka import EmbeddedKafka
from embedded.launching import child_environ
from embedded.log_lines import LineLog
from embedded.milvus import EmbeddedMilvus
from embedded.probing import address_of_api, require_kafka, require_milvus, says_yes
from embedded.runtime import Runtime, claim, made_private
from embedded.server import LocalServer
from schemas.settings import PREFIX, PROCESS_SETTINGS, Settings

LOOP = ("stream", "indexer", "searcher", "trainer")
PROCESSES = (*LOOP, "api")
_NICENESS = {"trainer": 10}  # training takes what the others leave
_SERVER_QUIET_S = 120.0
_STOP_DEADLINE_S = 15.0
_LOOK_S = 2.0
_SERVERS = (f"{PREFIX}KAFKA", f"{PREFIX}MILVUS")
_ROOT = str(Path(__file__).absolute().parents[1])


class Supervisor:
    """The stack as an async context manager.

    Entered when the servers answer and the processes are started, left when all are gone. ``env`` is put over
    the environment of this process. ``processes`` are started in this order; ``commands`` replaces the
    command line of one (default: ``python -m NAME``). ``http_port`` of the settings is not used: each process
    takes a free one. Not for reuse: one instance, one run.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        env: Mapping[str, str] | None = None,
        processes: Sequence[str] = PROCESSES,
        commands: Mapping[str, list[str]] | None = None,
        kafka_port: int | None = None,
        milvus_port: int | None = None,
        quiet: bool = False,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.kafka = ""
        self.milvus = ""
        # A server that is named by nothing is one of our own
        named = {**os.environ, **(env or {})}
        self._environ = {name: text for name, text in named.items() if text or name not in _SERVERS}
        self._names = tuple(processes)
        self._commands = dict(commands or {})
        self._ports = (kafka_port, milvus_port)
        self._quiet = quiet
        self._started_at = time.time()
        self._children: dict[str, Child] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._held = ExitStack()
        self._hurry = asyncio.Event()
        self._guardian: Guardian | None = None
        self._unwritten = False
        self._disk = DiskWatch(self.data_dir, self.say)
        self._tending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start everything. Raises ``EmbeddedError`` or ``SettingsError``, with nothing left running."""
        for name in self._names:
            self._settings(name)
        self._held.enter_context(claim(self.data_dir))
        try:
            if sentence := made_private(self.data_dir):
                self.say(sentence)
            self._guardian = Guardian()
            self._tending = asyncio.create_task(self._tend(), name="tend")
            self.kafka = await self._kafka()
            self.milvus = await self._milvus()
            for name in self._names:
                self._start_process(name)
            await asyncio.sleep(0)  # each keeper starts its child the first time it runs
            self._write_runtime()
        except BaseException:
            await self.stop()
            raise

    async def ready(self, deadline_s: float = 120.0, *, page: str = "readyz") -> None:
        """Wait until every process says yes on a page.

        Raises ``NotReadyError``, at once when one refused its settings. ``readyz``: it does its work (a
        searcher waits for its first generation, so for products); ``healthz``: it runs.
        """
        end = asyncio.get_running_loop().time() + deadline_s
        async with aiohttp.ClientSession() as session:
            waiting = list(self._names)
            while waiting := [
                name for name in waiting if not await says_yes(page, self.data_dir, name, session)
            ]:
                for name in waiting:
                    if (reason := self._children[name].refused) is not None:
                        raise NotReadyError(f"{reason}; its last lines:\n{self._children[name].log.tail()}")
                if asyncio.get_running_loop().time() > end:
                    tails = "\n".join(f"{name}:\n{self._children[name].log.tail(5)}" for name in waiting)
                    raise NotReadyError(
                        f"not ready within {deadline_s:.0f} s: {', '.join(waiting)}; their last "
                        f"lines:\n{tails}"
                    )
                await asyncio.sleep(0.1)

    async def api(self) -> str:
        """Wait for as long as it takes until the API answers; return its address."""
        async with aiohttp.ClientSession() as session:
            while True:
                if (address := await address_of_api(self.data_dir, session)) is not None:
                    return address
                await asyncio.sleep(0.2)

    async def watch(self) -> None:
        """Wait for as long as there is anything to keep running.

        Raises what made a keeper fail, which is a defect of ours.
        """
        done, _ = await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """End everything in reverse order; returns when nothing is left running.

        Never raises for a child's sake.
        """
        if self._tending is not None:
            self._tending.cancel()
        for name, child in reversed(self._children.items()):
            await child.stop(_STOP_DEADLINE_S, self._hurry)
            await asyncio.wait({self._tasks[name]})
        if self._guardian is not None:
            self._guardian.close()
            self._guardian = None
        self._held.close()

    def hurry(self) -> None:
        """Let a running ``stop`` kill instead of wait."""
        self._hurry.set()

    def pid(self, name: str) -> int | None:
        """Return the process id of a child, kafka and milvus included; None while it does not run."""
        return self._children[name].pid

    def restarts(self, name: str) -> int:
        """Return how often a child was started again."""
        return self._children[name].restarts

    def refused(self) -> dict[str, str]:
        """Return the processes that refused their settings, each with the sentence that says so."""
        return {name: child.refused for name, child in self._children.items() if child.refused is not None}

    def kill(self, name: str) -> None:
        """End a child with SIGKILL, as a crash would; it is started again."""
        self._children[name].kill()

    def log_path(self, name: str) -> Path:
        """Return the file that holds what a child said."""
        return self.data_dir / "logs" / f"{name}.log"

    def say(self, line: str) -> None:
        """Write a line of our own among those of the children."""
        self._log("up").write(line)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _kafka(self) -> str:
        if f"{PREFIX}KAFKA" in self._environ:
            given = Settings.load(self._environ).kafka
            await require_kafka(given)
            return given
        jars = self._environ.get(f"{PREFIX}KAFKA_JARS")
        return await self._start_server(
            EmbeddedKafka(self.data_dir / "kafka", self._ports[0], jars=Path(jars) if jars else None)
        )

    async def _milvus(self) -> str:
        if f"{PREFIX}MILVUS" in self._environ:
            given = Settings.load(self._environ).milvus  # without user and password: it is shown
            await require_milvus(given)
            return given
        return await self._start_server(EmbeddedMilvus(self.data_dir / "milvus", self._ports[1]))

    async def _start_server(self, server: LocalServer) -> str:
        await in_background(server.prepare)
        how = Launch(
            command=server.command(),
            environ=child_environ(self._environ),
            stop_signal=server.stop_signal,
            prepare=server.prepare,
        )
        child = self._add(server.name, how)
        worked, since = -1, time.monotonic()
        while not await in_background(server.answers):
            # It may read a long log, on a machine that has little time for it: as long as it works, it is
            # waited for.
            if (now := child.cpu_s()) > worked:
                worked, since = now, time.monotonic()
            if child.restarts or child.refused or time.monotonic() - since > _SERVER_QUIET_S:
                raise NotReadyError(
                    f"{server.name} did not come up; the end of {child.log.path}:\n{child.log.tail()}"
                )
            await asyncio.sleep(0.05)
        self.say(f"{server.name} answers at {server.address}")
        return server.address

    def _settings(self, name: str) -> Settings:
        ours = {"kafka": self.kafka, "milvus": self.milvus} if self.kafka else {}
        where = {key: at for key, at in ours.items() if PREFIX + key.upper() not in self._environ}
        return PROCESS_SETTINGS.get(name, Settings).load(
            self._environ, data_dir=self.data_dir, http_port=0, **where
        )

    def _start_process(self, name: str) -> None:
        inherited = {key: value for key, value in self._environ.items() if not key.startswith(PREFIX)}
        # Our own packages first, and never those that happen to lie in the folder we were started from.
        paths = os.pathsep.join(filter(None, (_ROOT, self._environ.get("PYTHONPATH"))))
        environ = child_environ(
            inherited, **self._settings(name).environ(), PYTHONPATH=paths, PYTHONSAFEPATH="1"
        )
        command = self._commands.get(name) or [sys.executable, "-m", name]
        announced = self.data_dir / "run" / f"{name}.json"
        announced.unlink(missing_ok=True)
        forget = lambda: announced.unlink(missing_ok=True)  # noqa: E731 (the page of the one that ended must not answer for the next)
        self._add(
            name, Launch(command=command, environ=environ, niceness=_NICENESS.get(name, 0), prepare=forget)
        )

    def _add(self, name: str, how: Launch) -> Child:
        if self._guardian is None:
            raise RuntimeError("the supervisor was not started")
        child = Child(name, how, self._log(name), self._guardian, self._write_runtime)
        self._children[name] = child
        self._tasks[name] = asyncio.create_task(child.keep(), name=f"keep-{name}")
        return child

    def _log(self, name: str) -> LineLog:
        return LineLog(name, self.log_path(name), quiet=self._quiet)

    def _write_runtime(self) -> None:
        if self.kafka and self.milvus:
            pids = {name: child.pid for name, child in self._children.items()}
            running = {name: pid for name, pid in pids.items() if pid is not None}
            runtime = Runtime(
                kafka=self.kafka,
                milvus=self.milvus,
                pid=os.getpid(),
                started_at=self._started_at,
                processes=running,
            )
            try:
                runtime.write(self.data_dir)
            except OSError as error:  # a full disk must not end those who keep the processes running
                if not self._unwritten:
                    self.say(f"runtime.json cannot be written, and is tried again: {error}")
                self._unwritten = True
            else:
                self._unwritten = False

    async def _tend(self) -> None:
        """Look at the disk, and write what could not be written, for as long as the stack runs."""
        while True:
            self._disk.look()
            if self._unwritten:
                self._write_runtime()
            await asyncio.sleep(_LOOK_S)

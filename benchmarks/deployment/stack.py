"""Kafka, Milvus, one indexer and two searchers as real processes that are started again whenever they end.

What a supervisor does, without its growing pauses, because here everything dies all the time.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.kafka import EmbeddedKafka
from embedded.launching import child_environ, launch
from embedded.milvus import EmbeddedMilvus
from embedded.milvus_server import MilvusServer
from embedded.server import LocalServer

RESTART_S = 0.3
SEARCHERS = ("searcher", "searcher-2")
BACKENDS = ("lite", "server")
VICTIMS = ("indexer", "searcher", "milvus", "kafka")


class DeployStack:
    """The running processes by name; each has its log in ``folder``."""

    def __init__(self, folder: Path, settings: dict[str, str], backend: str) -> None:
        self.folder = folder
        self.kafka = EmbeddedKafka(folder / "kafka")
        self.milvus: LocalServer = (
            EmbeddedMilvus(folder / "milvus") if backend == "lite" else MilvusServer(folder / "milvus")
        )
        self._settings = settings
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self.restarts = 0

    @property
    def _servers(self) -> dict[str, LocalServer]:
        return {"kafka": self.kafka, "milvus": self.milvus}

    def log_path(self, name: str) -> Path:
        """Return the file that holds what a process said, of all its lives."""
        return self.folder / f"{name}.log"

    def kill(self, name: str) -> None:
        """SIGKILL."""
        if name in self._servers:
            self._servers[name].kill()
        elif (child := self._children.get(name)) is not None:
            child.kill()

    async def keep(self) -> None:
        """Start again what has ended, for ever."""
        while True:
            for server in self._servers.values():
                if server.pid is None:
                    self.restarts += 1
                    with suppress(EmbeddedError):
                        await asyncio.to_thread(server.start)
            for name in ("indexer", *SEARCHERS):
                child = self._children.get(name)
                if child is None or child.poll() is not None:
                    self.restarts += child is not None
                    await asyncio.sleep(RESTART_S)
                    self._start(name)
            await asyncio.sleep(0.05)

    def stop(self) -> None:
        """End everything."""
        for child in self._children.values():
            child.kill()
            child.wait()
        self.milvus.kill()
        self.kafka.kill()

    def _start(self, name: str) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("SEARCHLOOP_")}
        where = {
            "SEARCHLOOP_KAFKA": self.kafka.address,
            "SEARCHLOOP_MILVUS": self.milvus.address,
            "SEARCHLOOP_DATA_DIR": str(self.folder / name),
        }
        with self.log_path(name).open("ab") as log:
            command = [sys.executable, "-m", name.split("-", maxsplit=1)[0]]
            self._children[name] = launch(command, child_environ(clean, **self._settings, **where), log)


@asynccontextmanager
async def open_stack(folder: Path, settings: dict[str, str], backend: str) -> AsyncIterator[DeployStack]:
    """Start it, keep it running for the length of the block, and end all of it."""
    stack = DeployStack(folder, settings, backend)
    await asyncio.to_thread(stack.kafka.start)
    await asyncio.to_thread(stack.milvus.start)
    keeper = asyncio.create_task(stack.keep())
    try:
        yield stack
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        stack.stop()

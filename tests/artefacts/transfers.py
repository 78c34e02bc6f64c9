"""Processes that put and fetch, and are killed: at a step on their disk, or after so many bytes."""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from embedded.ports import HOST

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["s3fs", "artefacts.remote_folders", "tests.artefacts.transfers"])
_ON_DISK = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.utime", "shutil.rmtree"}


def ended(work: Callable[..., object], *arguments: object, env: Mapping[str, str], **how: Any) -> int:
    """Do the work in a process of its own; return its exit code, -9 for one that was killed.

    ``die_at``: kill it at this step below ``below``, counted from 1. ``relay``: kill it at the relay's limit.
    """
    relay: Relay | None = how.pop("relay", None)
    process = _PROCESSES.Process(target=_do, args=(work, arguments, dict(env), how))
    process.start()
    if relay is not None:
        relay.victim = process.pid
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _do(
    work: Callable[..., object], arguments: tuple[object, ...], env: Mapping[str, str], how: dict[str, Any]
) -> None:
    os.environ.update(env)
    if how:
        steps = 0

        def look(event: str, found: tuple[object, ...]) -> None:
            nonlocal steps
            if event in _ON_DISK and str(found[0]).startswith(how["below"]):
                steps += 1
                if steps == how["die_at"]:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(look)
    work(*arguments)


class Relay:
    """Hands connections on to a port, counts the bytes of both directions, and kills at ``limit`` of them.

    The ``victim`` has had all bytes before, and none after it.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.count = 0
        self.limit: int | None = None
        self.victim: int | None = None
        self.reached: Callable[[], None] = self._kill

    def begin(self, limit: int | None) -> None:
        """Count from 0, up to a limit."""
        self.count, self.limit, self.victim = 0, limit, None

    def _kill(self) -> None:
        assert self.victim is not None
        os.kill(self.victim, signal.SIGKILL)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(HOST, self._to)
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                if self.limit is not None and self.count + len(data) >= self.limit:
                    writer.write(data[: self.limit - self.count])
                    await writer.drain()
                    self.limit = None
                    await asyncio.to_thread(self.reached)
                self.count += len(data)
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.close()

    async def _serve(self, ready: threading.Event, stopping: asyncio.Event) -> None:
        async with await asyncio.start_server(self._connected, HOST, 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await stopping.wait()


@contextmanager
def relay_to(port: int) -> Iterator[Relay]:
    """Run a relay in a thread."""
    relay, ready, stopping, loop = Relay(port), threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(relay._serve(ready, stopping),))
    thread.start()
    ready.wait()
    try:
        yield relay
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def fetch(address: str, cache: str, name: str) -> None:
    """Fetch a folder of the store."""
    from artefacts.located import open_folders  # noqa: PLC0415 (in the process that is killed)

    open_folders(address, Path(cache), 1 << 30).local(name)


def put(address: str, cache: str, kind: Any, digest: str, folder: str) -> None:
    """Put a folder into the store."""
    from artefacts.located import open_folders  # noqa: PLC0415

    open_folders(address, Path(cache), 1 << 30).put(kind, digest, Path(folder))


def put_picture(address: str, key: str, data: bytes) -> None:
    """Put an object into the store."""
    from artefacts.store import ArtefactStore  # noqa: PLC0415

    ArtefactStore(address).put(key, data)


def get_picture(address: str, key: str) -> None:
    """Get an object of the store."""
    from artefacts.store import ArtefactStore  # noqa: PLC0415

    assert ArtefactStore(address).get(key) is not None

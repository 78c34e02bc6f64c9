"""The workers of the chaos run.

Real processes, of the stream unless another is named, each with a folder of its own, restarted when they
end without being asked. It knows how to hurt them, not when.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from broker.topics import ensure_topics
from embedded.launching import child_environ, launch
from schemas.settings import Settings

LEAVES_WITHIN_S = 180.0


class StormWorker:
    """One place that a process fills, again and again."""

    def __init__(self, number: int, settings: Settings, arguments: tuple[str, ...]) -> None:
        self.number = number
        self.settings = settings.model_copy(update={"data_dir": settings.data_dir / f"worker-{number}"})
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        self._arguments = arguments
        self.process = self.start()

    @property
    def log(self) -> Path:
        """Where all its processes write."""
        return self.settings.data_dir / "stream.log"

    def start(self) -> subprocess.Popen[bytes]:
        """Start a process in this place."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SEARCHLOOP_")}
        with self.log.open("ab") as log:
            self.process = launch(
                [sys.executable, "-m", *self._arguments], child_environ(clean, **self.settings.environ()), log
            )
        return self.process

    def page(self) -> dict[str, object]:
        """Return its ``/readyz``; empty when it does not answer."""
        try:
            port = json.loads((self.settings.data_dir / "run" / "stream.json").read_text())["port"]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=3) as answer:
                found: dict[str, object] = json.load(answer)
        except (OSError, ValueError):
            return {}
        return found


class Workers:
    """All of them. ``crashes`` counts how processes ended that nobody had told to."""

    def __init__(self, settings: Settings, arguments: tuple[str, ...]) -> None:
        self._settings = settings
        self._arguments = arguments
        self._started = 0
        self.running: list[StormWorker] = []
        self.crashes: Counter[int] = Counter()
        self.logs: list[Path] = []

    def join(self) -> StormWorker:
        """Start one more."""
        self._started += 1
        worker = StormWorker(self._started, self._settings, self._arguments)
        self.running.append(worker)
        self.logs.append(worker.log)
        return worker

    async def leave(self, worker: StormWorker) -> None:
        """End one in order. Raises ``TimeoutError`` when it does not end."""
        self.running.remove(worker)
        worker.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(worker.process.wait, LEAVES_WITHIN_S)
        finally:
            worker.process.kill()

    def kill(self, worker: StormWorker) -> None:
        """End one with SIGKILL and start another in its place at once."""
        worker.process.kill()
        worker.process.wait()
        worker.start()

    async def watch(self) -> None:
        """Start again what has ended, until cancelled."""
        while True:
            for worker in self.running:
                status = worker.process.poll()
                if status is not None:
                    self.crashes[status] += 1
                    worker.start()
            await asyncio.sleep(0.3)

    async def ready(self, deadline_s: float) -> bool:
        """Wait until all say that their tables are recovered and their partitions held.

        False at the deadline.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline_s
        while loop.time() < end:
            pages = [await asyncio.to_thread(worker.page) for worker in self.running]
            if all(page.get("halves", {}).get("learn") for page in pages):  # type: ignore[attr-defined]
                return True
            await asyncio.sleep(0.3)
        return False

    def stop(self) -> None:
        """End all at once."""
        for worker in self.running:
            worker.process.kill()
            worker.process.wait()

    def said(self, text: bytes) -> int:
        """Count the lines of all logs that hold the text."""
        return sum(text in line for log in self.logs for line in log.read_bytes().splitlines())


@asynccontextmanager
async def working(settings: Settings, count: int, *arguments: str) -> AsyncIterator[Workers]:
    """Run workers for the length of the block.

    ``arguments`` are the module and what it is given, by default the whole stream.
    """
    await ensure_topics(settings)
    workers = Workers(settings, arguments or ("stream",))
    watching = asyncio.create_task(workers.watch())
    try:
        for _ in range(count):
            workers.join()
        yield workers
    finally:
        watching.cancel()
        workers.stop()

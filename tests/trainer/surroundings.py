"""A real trainer process and its topics; the test takes everybody else's part."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing, Record
from embedded.launching import launch, stop
from schemas.releases import LivePointer, Release, ReleaseState
from schemas.settings import TrainerSettings
from schemas.topics import TRAINING_RUNS, TRAINING_TRIGGERS
from schemas.training import TrainingRun, Trigger

WITHIN_S = 240.0  # without anything that moves
START_CPU_S = 120.0  # a start takes about 5


class Shop:
    """The trainer's surroundings: its topics, and its process."""

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self.settings = TrainerSettings.load(environ)
        self._environ, self._log = environ, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = launch([sys.executable, "-m", "trainer"], self._environ, output)

    def kill(self) -> None:
        if self._process:
            stop(self._process, signal.SIGKILL, 5.0)

    def crashes(self) -> int:
        """How often the process has ended for a fault, and whether it has now."""
        return self._log.read_text().count("crashed") + self.ended()

    def ended(self) -> bool:
        """Whether the process that was started last is no more."""
        return self._process is not None and self._process.poll() is not None

    def cpu_s(self) -> float:
        """How much the process that was started last has worked, in seconds."""
        assert self._process
        return sum(psutil.Process(self._process.pid).cpu_times()[:2])

    def page(self, page: str) -> tuple[int, dict[str, object]]:
        """Return a health page, asked anew while the process works on its start.

        A loaded machine gives it its share later.
        """
        last, moved = 0.0, time.monotonic()
        while not self.ended():
            with suppress(OSError, ValueError, KeyError):
                port = json.loads((self.settings.data_dir / "run" / "trainer.json").read_text())["port"]
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request("GET", page)
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())
            with suppress(psutil.NoSuchProcess):
                used = self.cpu_s()
                if used != last:
                    last, moved = used, time.monotonic()
            if last > START_CPU_S or time.monotonic() - moved > WITHIN_S:
                break
            time.sleep(0.1)
        pytest.fail(
            f"the trainer has no pages; ended: {self.ended()}, CPU: {last} s; the log "
            f"says:\n{self._log.read_text()[-3000:]}"
        )

    def page_when(self, page: str, holds: Callable[[dict[str, object]], object]) -> dict[str, object]:
        """Return a health page that fulfils the condition; the test's time limit ends it if none does."""
        while not holds(said := self.page(page)[1]):
            time.sleep(0.1)
        return said

    async def send(self, topic: str, *records: tuple[bytes, bytes]) -> None:
        async with open_producer(self.settings.kafka, linger_ms=0) as producer:
            await producer.send_all(
                Outgoing(self.settings.topic(topic), value, key=key) for key, value in records
            )

    async def trigger(self, trigger_id: str, **fields: object) -> None:
        trigger = Trigger(trigger_id=trigger_id, requested_at=datetime.now(UTC), **fields)
        await self.send(TRAINING_TRIGGERS.name, (b"main", trigger.to_json()))

    async def records(self, topic: str) -> list[Record]:
        """Every record that the topic still holds."""
        async with open_reader(self.settings.kafka, [self.settings.topic(topic)]) as reader:
            return [record async for record in reader.until(await reader.end_offsets())]

    async def runs(self) -> list[TrainingRun]:
        return [TrainingRun.from_json(r.value or b"") for r in await self.records(TRAINING_RUNS.name)]

    async def until(self, topic: str, holds: Callable[[list[Record]], object]) -> list[Record]:
        """Follow a topic from its beginning until what it had holds.

        Fails when neither it nor the log has moved for long.
        """
        found: list[Record] = []
        seen, moved = None, time.monotonic()
        async with open_reader(self.settings.kafka, [self.settings.topic(topic)]) as reader:
            while not holds(found):
                if (now := (len(found), self._log.stat().st_size if self._log.exists() else 0)) != seen:
                    seen, moved = now, time.monotonic()
                if time.monotonic() - moved > WITHIN_S:
                    pytest.fail(f"{topic} did not get there; the log says:\n{self._log.read_text()[-3000:]}")
                found += await reader.poll(timeout_ms=200)
        return found


def a_pointer(generation: int, model: str, **fields: object) -> LivePointer:
    release = Release(
        generation=generation,
        model=model,
        model_sha256="0" * 64,
        dim=384,
        collection=f"c{generation}",
        state=ReleaseState.RELEASED,
        run_id=fields.pop("run_id", None),
    )
    return LivePointer(sequence=generation, live=release, cause="promote", **fields)

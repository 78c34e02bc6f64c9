"""A process under measurement.

Started, asked for its counters, its CPU time read from the system, and stopped.
"""

import asyncio
import json
import os
import re
import signal
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import psutil

from embedded.launching import child_environ, launch, stop
from schemas.settings import Settings

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a measurement stands: wall and CPU seconds so far, and how much has been done."""

    at_s: float
    cpu_s: float
    done: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What happened between two moments."""

    done: int
    per_s: float
    cpu_us: float


def cost(first: Moment, last: Moment) -> Cost:
    """Return the rate per wall second and the CPU microseconds of one event between two moments."""
    done = last.done - first.done
    return Cost(
        done, round(done / (last.at_s - first.at_s)), round((last.cpu_s - first.cpu_s) * 1e6 / done, 1)
    )


class Watched:
    """A running process of ours with health pages."""

    def __init__(self, name: str, child: Popen[bytes], data_dir: Path) -> None:
        self._name, self._child, self._data_dir = name, child, data_dir
        self._process = psutil.Process(child.pid)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def cpu_s(self) -> float:
        """Return the CPU seconds it has used, user and system."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        """Return the memory it holds, in MB."""
        return round(self._process.memory_info().rss / 1e6, 1)

    def counters(self) -> dict[str, float]:
        """Return its counters, summed over labels and also by ``name{labels}``; none before it answers."""
        found: dict[str, float] = {}
        for name, labels, value in _SAMPLE.findall(self._page("metrics")):
            found[name] = found.get(name, 0.0) + float(value)
            if labels:
                found[f"{name}{{{labels}}}"] = float(value)
        return found

    def ready(self) -> bool:
        """Say whether it says that it is ready."""
        page = self._page("readyz")
        return bool(page) and bool(json.loads(page)["ready"])

    async def until(self, condition: Callable[[], bool], *, deadline_s: float, every_s: float = 0.1) -> None:
        """Wait for a condition.

        Raises ``RuntimeError`` with the end of the log when the process ends or the time is up.
        """
        end = time.monotonic() + deadline_s
        while not await asyncio.to_thread(condition):
            if self._child.poll() is not None or time.monotonic() > end:
                raise RuntimeError(
                    f"{self._name} did not get "
                    f"there:\n{(self._data_dir / f'{self._name}.log').read_text()[-4000:]}"
                )
            await asyncio.sleep(every_s)

    def _page(self, page: str) -> str:
        announced = self._data_dir / "run" / f"{self._name}.json"
        if not announced.exists():
            return ""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{json.loads(announced.read_text())['port']}/{page}", timeout=10
            ) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return str(error.read().decode())
        except OSError:
            return ""


class Team:
    """Processes that share the work of one step: one for all of ``Watched``."""

    def __init__(self, members: Sequence[Watched]) -> None:
        self._members = members

    def cpu_s(self) -> float:
        """Return the CPU seconds of all."""
        return sum(m.cpu_s() for m in self._members)

    def counters(self) -> dict[str, float]:
        """Return the sums of their counters."""
        found: Counter[str] = Counter()
        for member in self._members:
            found.update(member.counters())
        return dict(found)

    def ready(self) -> bool:
        """Say whether all are ready."""
        return all(m.ready() for m in self._members)

    async def until(self, condition: Callable[[], bool], *, deadline_s: float, every_s: float = 0.1) -> None:
        """Wait for a condition, as ``Watched.until`` does."""
        await self._members[0].until(condition, deadline_s=deadline_s, every_s=every_s)


@contextmanager
def learners(settings: Settings, count: int) -> Iterator[Team]:
    """Run ``count`` learning processes for the length of the block, each with a folder of its own."""
    with ExitStack() as stack:
        members = []
        for n in range(count):
            folder = settings.data_dir / f"worker-{n}"
            folder.mkdir(exist_ok=True)
            members.append(
                stack.enter_context(stream_half("learn", settings.model_copy(update={"data_dir": folder})))
            )
        yield Team(members)


@contextmanager
def stream_half(half: str, settings: Settings) -> Iterator[Watched]:
    """Run ``python -m stream --only half`` for the length of the block."""
    name = f"stream-{half}"
    (settings.data_dir / "run" / f"{name}.json").unlink(missing_ok=True)
    with (settings.data_dir / f"{name}.log").open("ab") as log:
        child = launch(
            [sys.executable, "-m", "stream", "--only", half],
            child_environ(os.environ, **settings.environ()),
            log,
        )
    try:
        yield Watched(name, child, settings.data_dir)
    finally:
        stop(child, signal.SIGTERM, 30.0)

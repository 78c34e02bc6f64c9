"""What goes on beside an attack: honest searches, and the memory that the processes take."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from benchmarks.attacks.target import RunningStack
from embedded.supervisor import PROCESSES
from schemas.search import Status


@dataclass
class Honest:
    """What honest clients saw while something went on."""

    asked: int = 0
    answered: int = 0
    slowest_ms: float = 0.0
    worst: str = ""


@asynccontextmanager
async def honest_searches(stand: RunningStack, *, pause_s: float = 0.5) -> AsyncIterator[Honest]:
    """Search as an honest client for the length of the block, one request at a time.

    Those of the block end within it.
    """
    seen, ending = Honest(), asyncio.Event()

    async def ask_on() -> None:
        while not ending.is_set():
            started = time.perf_counter()
            seen.asked += 1
            try:
                status = (await stand.search()).status.value
            except TimeoutError:
                status = "no answer"
            seen.slowest_ms = max(seen.slowest_ms, round((time.perf_counter() - started) * 1000, 1))
            if status == Status.OK.value:
                seen.answered += 1
            else:
                seen.worst = status
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await ending.wait()

    task = asyncio.create_task(ask_on())
    try:
        yield seen
    finally:
        ending.set()
        await task


@asynccontextmanager
async def watched_memory(stand: RunningStack) -> AsyncIterator[dict[str, float]]:
    """Yield by how much, in MB, each process rose at most above its start of the block.

    Ten looks a second.
    """
    base = {name: stand.memory_mb(name) for name in PROCESSES}
    rose = dict.fromkeys(PROCESSES, 0.0)

    async def look() -> None:
        while True:
            for name in PROCESSES:
                rose[name] = round(max(rose[name], stand.memory_mb(name) - base[name]), 1)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(look())
    try:
        yield rose
    finally:
        task.cancel()

"""How much memory the stack of a data directory takes.

Its servers and processes, by ``runtime.json``, with their children.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_MB = 1 << 20


@dataclass
class Footprint:
    """The most memory that was seen, in MiB.

    A page that processes share counts once (PSS, where the system tells it).
    """

    peak_mb: int = 0


def memory_mb(data_dir: Path) -> int:
    """Return the memory that all processes of the stack take now, in MiB."""
    pids = json.loads((data_dir / "runtime.json").read_text())["processes"].values()
    total = 0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            for one in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    facts = one.memory_full_info()
                    total += getattr(facts, "pss", facts.rss)
    return total // _MB


@asynccontextmanager
async def watch_memory(data_dir: Path, *, every_s: float = 3.0) -> AsyncIterator[Footprint]:
    """Sample the stack's memory for the length of the block."""
    seen = Footprint()

    async def sample() -> None:
        while True:
            with suppress(FileNotFoundError):
                seen.peak_mb = max(seen.peak_mb, await asyncio.to_thread(memory_mb, data_dir))
            await asyncio.sleep(every_s)

    task = asyncio.create_task(sample())
    try:
        yield seen
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

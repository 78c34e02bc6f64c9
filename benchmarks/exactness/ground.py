"""Where the chaos happens.

One real broker behind a slow road, and the question whether everything sent has been learnt from.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.group_lag import open_lag_reader
from broker.reading import open_reader
from embedded.kafka import EmbeddedKafka
from embedded.launching import child_environ, launch
from embedded.ports import HOST, free_port, is_free
from schemas.settings import StreamSettings
from stream.lag import steps_of

SESSION_TIMEOUT_S = 6.0
QUIET_S = 3.0


@dataclass(frozen=True)
class SlowBroker:
    """``address`` is the slow road, which everybody takes."""

    broker: EmbeddedKafka
    address: str
    folder: Path

    def settings(self, prefix: str) -> StreamSettings:
        """Return the settings of a group of workers with topics of its own."""
        return StreamSettings(
            kafka=self.address,
            topic_prefix=prefix,
            data_dir=self.folder / prefix.strip("."),
            partitions=4,
            broker_session_timeout_s=SESSION_TIMEOUT_S,
        )

    def broker_logs(self) -> list[Path]:
        """Return the broker's logs, older first."""
        return [self.broker.data_dir / "broker.log.1", self.broker.data_dir / "broker.log"]


@asynccontextmanager
async def open_ground(folder: Path, rtt_ms: float) -> AsyncIterator[SlowBroker]:
    """Start the broker and the road to it."""
    road = free_port()
    broker = EmbeddedKafka(folder / "kafka", advertised_port=road)
    broker.start()
    with (folder / "proxy.log").open("ab") as log:
        command = [
            sys.executable,
            "-m",
            "benchmarks.exactness.latency_proxy",
            str(road),
            broker.address.split(":")[1],
            str(rtt_ms),
        ]
        proxy = launch(command, child_environ(os.environ), log)
    try:
        while is_free(road) and proxy.poll() is None:  # noqa: ASYNC110 (another process fulfils it)
            await asyncio.sleep(0.05)
        yield SlowBroker(broker, f"{HOST}:{road}", folder)
    finally:
        broker.stop()
        proxy.kill()
        proxy.wait()


async def settled(
    settings: StreamSettings,
    *,
    deadline_s: float,
    stalled_s: float = 1e9,
    halves: tuple[str, ...] = ("intake", "learn"),
) -> None:
    """Wait until no group of the halves is behind and the topics have rested.

    Raises ``TimeoutError`` at the deadline, and when a group is behind though nothing has been written for
    ``stalled_s``.
    """
    end = time.monotonic() + deadline_s
    topics = [settings.topic(t) for t in ("events", "contributions", "pairs")]
    async with (
        open_lag_reader(settings) as lag,
        open_reader(settings, topics, start="end") as reader,
    ):
        last = await reader.end_offsets()
        since = moved = time.monotonic()
        while True:
            behind = {
                name: records
                for _, group, names in steps_of(settings, halves)
                for name, records in (
                    await lag.lag(group, [settings.topic(n) for n in names]) or {"unknown": 1}
                ).items()
                if records
            }
            now = await reader.end_offsets()
            moved = moved if now == last else time.monotonic()
            if behind or now != last:
                last, since = now, time.monotonic()
            if time.monotonic() - since >= QUIET_S:
                return
            if time.monotonic() > min(end, moved + stalled_s):
                raise TimeoutError(f"still behind: {behind}")
            await asyncio.sleep(0.5)

"""The same start of one worker, with Faust's own recovery and with ours.

200 ms to the broker, tables to restore, and events that wait. Upstream opens the streams before it has looked
up where they stand, then clears what was delivered meanwhile (notes: the recovery race).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.exactness.ground import open_ground, settled
from benchmarks.exactness.pairs_audit import compare, expected, read_learnt
from benchmarks.exactness.storm import make_load, send
from benchmarks.exactness.workers import working
from benchmarks.harness.report import say
from broker.producing import open_producer

RTT_MS = 200.0
EVENTS = 4000
# Small records and short steps, so that many wait in the streams' queues while the start goes on.
SMALL = {"intake_batch": 20, "flush_ms": 1, "take_records": 20}
MODULES = {"ours": "stream", "stock_faust": "benchmarks.exactness.stock_worker"}


async def contrast(
    seed: int,
    folder: Path,
    modules: Mapping[str, str] = MODULES,
    *,
    events: int = EVENTS,
    stalled_s: float = 30.0,
) -> dict[str, dict[str, Any]]:
    """Return per system what the start lost and doubled, and how many records it never saw.

    Lost and doubled are in thousandths of a credit. A start that is behind and has written nothing for
    ``stalled_s`` is not waited for.
    """
    load = make_load(seed, events)
    right = expected(load.facts)
    half = len(load.facts) // 2
    report: dict[str, dict[str, Any]] = {}
    async with open_ground(folder, RTT_MS) as ground:
        for name, module in modules.items():
            settings = ground.settings(f"{name}.")
            small = settings.model_copy(update=SMALL)
            async with open_producer(settings, linger_ms=20) as producer:
                async with working(settings, 1, module):
                    await send(producer, settings, load.products)
                    await settled(settings, deadline_s=300)
                    await send(producer, settings, load.facts[:half])
                    await settled(settings, deadline_s=300)
                await send(producer, settings, load.facts[half:])
            async with working(small, 1, "stream", "--only", "intake"):
                await settled(settings, deadline_s=300, halves=("intake",))
            async with working(small, 1, module, "--only", "learn") as workers:
                try:
                    await settled(settings, deadline_s=max(300.0, stalled_s), stalled_s=stalled_s)
                    whole = True
                except TimeoutError:  # a hole that is not committed over is never passed either
                    whole = False
                difference = compare(await read_learnt(settings), right)
                report[name] = {
                    "pairs_wrong": difference.pairs,
                    "lost": difference.lost,
                    "double": difference.double,
                    "holes": workers.said(b"offsets missing between two records"),
                    "settled": whole,
                }
            say(f"{name}: {report[name]}")
    return report

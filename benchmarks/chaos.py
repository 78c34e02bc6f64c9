"""Exactness under chaos.

Duplicates, disorder, kill -9, a sleeper past its session timeout, joins and leaves, a broker that dies. The
pairs must be, byte for byte, those of one clean pass by one worker and those of a reference that was written
separately.
"""

import argparse
import asyncio
import logging
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from benchmarks.exactness.contrast import contrast
from benchmarks.exactness.disturbances import BROKER, KILL, Faults, plan_faults
from benchmarks.exactness.ground import SlowBroker, open_ground, settled
from benchmarks.exactness.pairs_audit import Pairs, compare, expected, read_learnt, rebalances, unaccounted
from benchmarks.exactness.storm import Load, make_load, send
from benchmarks.exactness.workers import working
from benchmarks.harness.report import finish, say
from broker.producing import open_producer
from schemas.settings import StreamSettings
from schemas.stream_groups import intake_group, learn_group

HEALS_WITHIN_S = 90.0
FLOW_S = 5.0


async def run(
    seed: int, events: int, kills: int, workers: int, rtt_ms: float, folder: Path
) -> dict[str, Any]:
    """Do one clean pass and one chaotic pass of the same records; return the fields of the report."""
    load = make_load(seed, events)
    right = expected(load.facts)
    say(f"{len(load.facts)} records, {len(load.storm)} in the storm, {len(right)} pairs expected")
    async with open_ground(folder, rtt_ms) as ground:
        clean = await clean_pass(ground, load)
        say(f"clean pass: {len(clean)} pairs")
        settings = ground.settings("chaos.")
        facts, found = await chaos_pass(ground, settings, load, seed, kills, workers)
        wrong = await unaccounted(settings, load.storm)
        groups = (learn_group(settings), intake_group(settings, "events"), intake_group(settings, "products"))
        formed = rebalances(ground.broker_logs(), groups)
    to_clean, to_reference = compare(found, clean), compare(found, right)
    for line in (*to_clean.examples, *to_reference.examples):
        say(line)
    return {
        "events": len(load.facts),
        "sent": len(load.storm),
        "pairs": len(found),
        "equal_to_clean": to_clean.pairs == 0,
        "equal_to_reference": to_reference.pairs == 0,
        "clean_equal_to_reference": compare(clean, right).pairs == 0,
        "lost": to_reference.lost,
        "double": to_reference.double,
        "conserved": not wrong,
        "unaccounted": wrong,
        "rebalances": sum(formed.values()),
        "rtt_ms": rtt_ms,
        **facts,
    }


async def clean_pass(ground: SlowBroker, load: Load) -> Pairs:
    """Learn from every record once, in order, with one worker that nothing happens to."""
    settings = ground.settings("clean.")
    async with working(settings, 1), open_producer(settings, linger_ms=20) as producer:
        await send(producer, settings, load.products)
        await settled(settings, deadline_s=300)
        await send(producer, settings, load.facts)
        await settled(settings, deadline_s=300)
        return await read_learnt(settings)


async def chaos_pass(
    ground: SlowBroker, settings: StreamSettings, load: Load, seed: int, kills: int, count: int
) -> tuple[dict[str, Any], Pairs]:
    """Learn from the storm while everything breaks; return facts for the report, and the pairs."""
    plan, rng = plan_faults(seed, kills), Random(f"moments:{seed}")
    healed: list[float] = []
    async with working(settings, count) as workers, open_producer(settings, linger_ms=20) as producer:
        faults = Faults(workers, ground.broker, rng, settings.broker_session_timeout_s)
        await send(producer, settings, load.products)
        await settled(settings, deadline_s=300)
        await workers.ready(HEALS_WITHIN_S)
        share = -(-len(load.storm) // (len(plan) + 1))
        for number, fault in enumerate(plan):
            flowing = asyncio.create_task(
                _flow(producer, settings, load.storm[number * share : (number + 1) * share])
            )
            await asyncio.sleep(rng.uniform(0.3, FLOW_S))
            say(f"{fault} with {len(workers.running)} workers")
            await faults.strike(fault)
            struck = time.monotonic()
            if rng.random() < 0.7:  # else the next one strikes into the recovery
                whole = await workers.ready(HEALS_WITHIN_S)
                healed.append(round(time.monotonic() - struck, 1) if whole else HEALS_WITHIN_S)
            await flowing
        await send(producer, settings, load.storm[len(plan) * share :])
        struck = time.monotonic()
        await settled(settings, deadline_s=400)
        found = await read_learnt(settings)
        facts = {
            "kills": kills,
            "faults": dict(Counter(plan)),
            "broker_kills": plan.count(BROKER),
            "worker_kills": plan.count(KILL),
            "recovery_s": max(healed, default=0.0),
            "recovery_median_s": median(healed) if healed else 0.0,
            "settle_s": round(time.monotonic() - struck, 1),
            "restarts_by_exit_code": dict(workers.crashes),
            "fenced_writers": workers.said(b"ProducerFenced:"),
            "gaps": workers.said(b"offsets missing between two records"),
        }
    return facts, found


async def _flow(producer: Any, settings: StreamSettings, records: list[Any]) -> None:
    """Send the records over about ``FLOW_S`` seconds."""
    pieces = 25
    size = -(-len(records) // pieces) or 1
    for start in range(0, len(records), size):
        await send(producer, settings, records[start : start + size])
        await asyncio.sleep(FLOW_S / pieces)


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument(
        "--kills", type=int, default=6, help="kill -9 of workers; the other faults come on top"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--rtt-ms", type=float, default=5.0, help="latency put between the broker and everybody"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--contrast",
        action="store_true",
        help="also start one worker behind 200 ms, with Faust's own recovery and with ours",
    )
    parser.add_argument("--keep", type=Path, default=None, help="keep the logs in this folder")
    args = parser.parse_args()
    # It tells of every try to reach a broker that we have killed
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="searchloop-chaos-") as temporary:
        folder = (args.keep or Path(temporary)).absolute()
        facts = asyncio.run(run(args.seed, args.events, args.kills, args.workers, args.rtt_ms, folder))
        if args.contrast:
            facts["contrast"] = asyncio.run(contrast(args.seed, folder / "contrast"))
    held = ("equal_to_clean", "equal_to_reference", "clean_equal_to_reference", "conserved")
    ok = all(facts[name] for name in held) and facts["lost"] == facts["double"] == facts["gaps"] == 0
    if args.contrast:
        ours = facts["contrast"]["ours"]
        ok = ok and ours["settled"] and ours["pairs_wrong"] == ours["holes"] == 0
    return finish("chaos", seed=args.seed, started=started, ok=ok, **facts)


if __name__ == "__main__":
    raise SystemExit(main())

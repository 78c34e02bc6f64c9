"""How many events a second the stream takes, at what CPU, and how fast one event is learnt.

Real processes, a real embedded Kafka. Everything lies on the broker before the clock starts; a stage is
measured from its first counted event to its last, by its own counters and the CPU time of its process; the
broker's CPU is not in it. ``aggregate`` is the learning process alone with the contributions of the run
before, counted in contributions; ``attribute`` is the learning process with both agents, less what aggregate
costs: an estimate. ``chain`` is one intake and ``--workers`` learning processes at once, until every
contribution stands in a pair. ``aiokafka`` and ``quixstreams`` do a far smaller job: they count events by
shopper. What else ran on the machine shows in ``load_average``.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.harness.report import finish, say
from benchmarks.interop.environments import QUIXSTREAMS, NotInstalledError, interpreter_with
from benchmarks.throughput.load import shop_of
from benchmarks.throughput.measured_process import Cost
from benchmarks.throughput.stages import Stages
from embedded.kafka import EmbeddedKafka
from simulator.shop import Shop

GOAL_INTAKE_PER_CORE, GOAL_CHAIN = 20_000, 10_000


async def once(
    shop: Shop, args: argparse.Namespace, recovery_pairs: int
) -> tuple[dict[str, Cost], int, dict[str, Any]]:
    """Run all stages on a broker of their own.

    Return their costs, the number of contributions, and what else was measured.
    """
    costs: dict[str, Cost] = {}
    with (
        tempfile.TemporaryDirectory(prefix="searchloop-ingest-") as folder,
        EmbeddedKafka(Path(folder) / "kafka") as kafka,
    ):
        bench = Stages(kafka, Path(folder), shop, args.events, recovery_pairs)
        settings = bench.settings("stages")
        await bench.prepare(settings)
        say(f"{args.events} events wait")
        costs["intake"] = await bench.intake(settings)
        say(f"intake: {costs['intake']}")
        if args.quix_python is not None:
            costs["quixstreams"] = await bench.counting(args.quix_python, "counting_quix")
            say(f"quixstreams: {costs['quixstreams']}")
        learn, contributions = await bench.learn(settings)
        say(f"attribute and aggregate: {learn}, {contributions} contributions")
        aggregate = await bench.aggregate(settings, contributions)
        say(f"aggregate: {aggregate} (per contribution)")
        costs["aiokafka"] = await bench.counting(Path(sys.executable), "counting_aiokafka")
        say(f"aiokafka: {costs['aiokafka']}")
        share = contributions / args.events
        attribute_us = learn.cpu_us - aggregate.cpu_us * share
        costs["attribute"] = Cost(args.events, round(1e6 / attribute_us), round(attribute_us, 1))
        costs["aggregate"] = aggregate
        more = await bench.chain(bench.settings("chain"), args.workers)
        costs["chain"] = more.pop("chain")
        say(f"chain: {costs['chain']}, {more}")
    return costs, contributions, more


async def measure(args: argparse.Namespace) -> int:
    """Run all stages, each as often as asked; return the exit code."""
    started = time.monotonic()
    shop = shop_of(args.seed, datetime.now(UTC))
    if args.repeat < 1:
        raise SystemExit("--repeat must be 1 or more")
    try:
        args.quix_python = interpreter_with(QUIXSTREAMS) if args.with_quixstreams else None
    except NotInstalledError as error:
        raise SystemExit(str(error)) from error
    rounds: list[dict[str, Cost]] = []
    for number in reversed(range(args.repeat)):
        found, contributions, more = await once(shop, args, 0 if number else args.recovery_pairs)
        rounds.append(found)
    costs = {name: min((found[name] for found in rounds), key=lambda c: c.cpu_us) for name in rounds[0]}
    intake, whole, quix = costs["intake"], costs["chain"], costs.get("quixstreams")
    per_core = round(1e6 / intake.cpu_us)
    goals = {
        f"intake >= {GOAL_INTAKE_PER_CORE} per core": per_core >= GOAL_INTAKE_PER_CORE,
        f"chain >= {GOAL_CHAIN}": whole.per_s >= GOAL_CHAIN,
    }
    if quix is not None:
        goals |= {
            f"{name} ahead of quixstreams": costs[name].cpu_us < quix.cpu_us
            for name in ("intake", "attribute", "aggregate")
        }
    return finish(
        "ingest",
        seed=args.seed,
        started=started,
        ok=True,
        events=args.events,
        repeat=args.repeat,
        chain_workers=args.workers,
        load_average=os.getloadavg(),
        events_per_s={name: c.per_s for name, c in costs.items()},
        cpu_us_per_event={name: c.cpu_us for name, c in costs.items()},
        cpu_us_of_every_round={name: [found[name].cpu_us for found in rounds] for name in rounds[0]},
        intake_per_s_per_core=per_core,
        contributions=contributions,
        goals=goals,
        left_out={} if quix else {"quixstreams": "not asked for (--with-quixstreams)"},
        **more,
    )


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--repeat",
        type=int,
        default=1,
        help="rounds; the least CPU of each stage counts, of ours and theirs alike",
    )
    parser.add_argument(
        "--workers", type=int, default=2, help="learning processes of the chain, beside one intake"
    )
    parser.add_argument(
        "--recovery-pairs",
        type=int,
        default=1_000_000,
        help="with so many the tables come back, and a tenth as many shoppers; 0: left out",
    )
    parser.add_argument(
        "--with-quixstreams",
        action="store_true",
        help="measure quixstreams too, installed into an environment of its own",
    )
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())

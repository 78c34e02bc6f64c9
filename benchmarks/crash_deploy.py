"""Whether a deployment ends well, without a hand, after kill -9 at every step of it.

Killed are the indexer, a searcher, Milvus or the broker. Real processes; each is started again when it ends.
What a step is, and what recovered means, stands in ``benchmarks.deployment.killing``.
"""

import argparse
import asyncio
import logging
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from benchmarks.deployment.changing_catalogue import PROBES, Churn, a_catalogue
from benchmarks.deployment.crash_audit import read
from benchmarks.deployment.killing import STEPS, Kill, Round, plan
from benchmarks.deployment.rotated_models import Candidates
from benchmarks.deployment.stack import BACKENDS, open_stack
from benchmarks.harness.report import finish, say
from broker.producing import open_producer
from broker.records import Outgoing
from broker.requesting import open_requester
from broker.topics import ensure_topics
from commands.instruments.traffic import steady_traffic
from schemas.search import Status
from schemas.settings import Settings
from schemas.topics import CATALOG

ENV = {
    "SEARCHLOOP_PARTITIONS": "2", "SEARCHLOOP_RETIRE_GRACE": "PT1S", "SEARCHLOOP_SEARCHER_TIMEOUT": "PT5S",
    "SEARCHLOOP_CATALOG_SETTLE": "PT1S", "SEARCHLOOP_BUILD_BATCH": "32", "SEARCHLOOP_BUILD_PAUSE_MS": "20",
    "SEARCHLOOP_VERIFY_PROBES": "20", "SEARCHLOOP_GUARD_SILENCE": "PT20M",
    "SEARCHLOOP_GUARD_WINDOW": "PT0.001S",
}  # fmt: skip


async def run(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Do all rounds under steady traffic; return the fields of the report."""
    shop = a_catalogue(args.products)
    candidates = await asyncio.to_thread(
        Candidates, folder / "indexer" / "runs", args.seed, others=args.products
    )
    done: list[Kill] = []
    async with open_stack(folder, ENV, args.backend) as stack:
        settings = Settings(
            kafka=stack.kafka.address, milvus=stack.milvus.address, partitions=2, data_dir=folder
        )
        await ensure_topics(settings)
        async with (
            open_producer(settings, linger_ms=0) as producer,
            open_requester(settings, settings.topic("search-responses")) as requester,
        ):
            topic = settings.topic(CATALOG.name)
            await producer.send_all(
                Outgoing(topic, p.to_json(), key=i.encode()) for i, p in shop.products.items()
            )
            churn = Churn(shop, producer, topic, per_s=args.changes_per_s, seed=args.seed)
            round_ = Round(
                stack, settings, shop, churn, candidates, Random(f"moments:{args.seed}"), args.patience_s
            )
            await _first(settings, args.patience_s)
            await round_.undisturbed()
            async with steady_traffic(requester, settings, list(PROBES), per_second=3) as traffic:
                for number, (step, victim) in enumerate(plan(args.seed, args.kills, args.steps)):
                    kill = await round_.run(number, step, victim)
                    done.append(kill)
                    say(
                        f"{number + 1}/{args.kills} {victim} at {step}: {kill.problem or 'recovered'} "
                        f"after {kill.seconds} s"
                    )
        restarts = stack.restarts
    ends = [a.response.status.value if a.response else "none" for a in traffic.answers]
    return {
        "kills": len(done),
        "recovered": sum(k.problem is None for k in done),
        "by_step": _figures(done, "step"),
        "by_victim": _figures(done, "victim"),
        "problems": [f"{k.victim} at {k.step}: {k.problem}" for k in done if k.problem],
        "restarts": restarts,
        "searches": {
            "sent": traffic.sent,
            "ok": ends.count(Status.OK.value),
            **{e: ends.count(e) for e in sorted(set(ends)) if e != "ok"},
        },
    }


async def _first(settings: Settings, patience_s: float) -> None:
    end = time.monotonic() + patience_s
    while (await read(settings)).pointer is None:
        if time.monotonic() > end:
            raise SystemExit("the first generation did not appear")
        await asyncio.sleep(0.2)


def _figures(kills: list[Kill], field: str) -> dict[str, dict[str, float]]:
    parts: dict[str, list[Kill]] = defaultdict(list)
    for kill in kills:
        parts[getattr(kill, field)].append(kill)
    return {
        name: {
            "kills": len(part),
            "recovered": sum(k.problem is None for k in part),
            "median_s": median(k.seconds for k in part),
            "longest_s": max(k.seconds for k in part),
        }
        for name, part in sorted(parts.items())
    }


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument(
        "--steps", nargs="+", choices=STEPS, default=list(STEPS), help="kill at these steps alone"
    )
    parser.add_argument("--backend", choices=BACKENDS, default="lite")
    parser.add_argument("--products", type=int, default=200, help="products that change, beside 48 probes")
    parser.add_argument("--changes-per-s", type=float, default=20.0)
    parser.add_argument(
        "--patience-s",
        type=float,
        default=180.0,
        help="how long a recovery may take before it counts as none",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=None, help="keep the logs in this folder")
    args = parser.parse_args()
    # It tells of every try to reach a broker that we have killed
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="searchloop-crash-") as temporary:
        folder = (args.keep or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        facts = asyncio.run(run(args, folder))
    ok = facts["recovered"] == facts["kills"] == args.kills
    return finish("crash_deploy", seed=args.seed, started=started, ok=ok, **facts)


if __name__ == "__main__":
    raise SystemExit(main())

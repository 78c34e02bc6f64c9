"""What the stack takes when nobody asks for anything.

The share of a core of each process, its memory, and how long it took to start. A stack of its own with a
small catalogue, one search and a generation that serves; it settles, and is then watched. Searches asked one
by one before and after say what the rest costs in latency.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.harness.report import finish, say
from broker.producing import open_producer
from broker.requesting import open_requester
from commands.instruments.conservation import Accounts, settled
from commands.instruments.footprint import memory_mb
from commands.support.asking import ask
from embedded.runtime import read_runtime
from embedded.supervisor import Supervisor
from schemas.search import SearchRequest
from schemas.settings import Settings
from simulator.shop import Shop

BAR_CORES = 0.2  # half of what was seen at first


def cpu_s(folder: Path) -> dict[str, float]:
    """Return the CPU-seconds that each process of the stack has used since its start, with its children."""
    runtime = read_runtime(folder)
    if runtime is None:
        raise RuntimeError(f"nothing runs on {folder}")
    used: dict[str, float] = {}
    for name, pid in {"up": runtime.pid, **runtime.processes}.items():
        family = [psutil.Process(pid)]
        if name != "up":
            family += family[0].children(recursive=True)
        used[name] = sum(p.cpu_times().user + p.cpu_times().system for p in family)
    return used


async def asked_ms(settings: Settings, query: str, times: int) -> dict[str, float]:
    """Ask one search after the other, half a second apart.

    Return the median and the 90th percentile in ms.
    """
    taken: list[float] = []
    async with open_requester(settings, settings.topic("search-responses")) as requester:
        for _ in range(times):
            request = SearchRequest(request_id=uuid.uuid4().hex, user_query=query, k=10, timeout_ms=60_000)
            taken.append((await ask(requester, settings, request))[1])
            await asyncio.sleep(0.5)
    return {"p50": round(statistics.median(taken), 1), "p90": round(statistics.quantiles(taken, n=10)[-1], 1)}


async def watch(args: argparse.Namespace) -> dict[str, Any]:
    """Start, feed, settle, watch; return the figures."""
    facts: dict[str, Any] = {}
    env = {"SEARCHLOOP_PARTITIONS": str(args.partitions)} if args.partitions else {}
    shop = Shop(seed=args.seed, end=datetime.now(UTC))
    with tempfile.TemporaryDirectory(prefix="searchloop-idle-") as name:
        folder = Path(name)
        began = time.monotonic()
        async with Supervisor(data_dir=folder, env=env, quiet=True) as stack:
            await stack.ready(300, page="healthz")
            facts["up_s"] = round(time.monotonic() - began, 1)
            settings = Settings.load(
                {
                    **env,
                    "SEARCHLOOP_KAFKA": stack.kafka,
                    "SEARCHLOOP_MILVUS": stack.milvus,
                    "SEARCHLOOP_DATA_DIR": name,
                }
            )
            accounts = Accounts()
            async with open_producer(settings, linger_ms=20) as producer:
                await accounts.send(producer, settings, shop.products())
                await stack.ready(600)
                facts["ready_s"] = round(time.monotonic() - began, 1)
                for week in range(args.weeks):
                    await accounts.send(producer, settings, shop.events(week))
            await settled(settings, accounts, quiet_s=300)
            query = shop.queries(0, 1)[0].text
            facts["search_ms"] = await asked_ms(settings, query, 20)
            say(f"settling for {args.settle_s} s")
            await asyncio.sleep(args.settle_s)
            before, at = cpu_s(folder), time.monotonic()
            await asyncio.sleep(args.seconds)
            after, took = cpu_s(folder), time.monotonic() - at
            facts["share_of_a_core"] = {
                process: round((after[process] - before[process]) / took, 4) for process in after
            }
            facts["total"] = round(sum(facts["share_of_a_core"].values()), 3)
            facts["search_after_rest_ms"] = await asked_ms(settings, query, 20)
            facts["memory_mb"] = memory_mb(folder)
            facts["kafka_mb"] = psutil.Process(stack.pid("kafka")).memory_info().rss >> 20
            facts["partitions"] = settings.partitions
            if args.recovery:
                restarting = time.monotonic()
                stack.kill("stream")
                while not stack.restarts("stream"):  # noqa: ASYNC110 (nothing is set when it ends)
                    await asyncio.sleep(0.05)
                await stack.ready(600)
                facts["stream_again_s"] = round(time.monotonic() - restarting, 1)
    return facts


def main() -> int:
    """Run it; exit 0 when the stack takes at most the bar."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--settle-s", type=float, default=60)
    parser.add_argument("--partitions", type=int, default=0, help="0: the default of the settings")
    parser.add_argument(
        "--weeks", type=int, default=0, help="weeks of the simulated shop to learn before the rest"
    )
    parser.add_argument(
        "--recovery",
        action="store_true",
        help="also kill stream afterwards and say how long it takes to come back",
    )
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    started = time.monotonic()
    facts = asyncio.run(watch(args))
    return finish(
        "idle", seed=args.seed, started=started, ok=facts["total"] <= BAR_CORES, bar=BAR_CORES, **facts
    )


if __name__ == "__main__":
    raise SystemExit(main())

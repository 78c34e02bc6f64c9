"""What HTTP costs: events posted beside a bare handler, searches beside the same ones over Kafka.

``posts``: batches of a simulated shop's events, by clients side by side, to the API and to a FastAPI handler
that only produces to Kafka (``benchmarks.serving.bare_http``), in turns; records a second of CPU of the
process that is posted to. ``search``: a stack with a small shop; every query once over Kafka so that its
vector is known, then each over Kafka and over HTTP, in random order, one at a time.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import psutil

from benchmarks.harness.report import finish, say
from benchmarks.throughput.load import events_of, shop_of
from broker.producing import open_producer
from broker.records import Outgoing
from broker.requesting import open_requester
from broker.topics import ensure_topics
from commands.instruments.only_asked import ONLY_ASKED
from commands.support.asking import ask
from commands.support.pages import read_page
from embedded.ports import HOST
from embedded.supervisor import Supervisor
from schemas.connections import KafkaConnection
from schemas.search import SearchRequest, Status
from schemas.settings import Settings
from schemas.topics import SEARCH_RESPONSES, SEARCHES
from simulator.shop import Shop

CLIENTS = 4
BATCH = 500
TURNS = 4
WARM = 20  # searches that are not counted


@asynccontextmanager
async def open_api(folder: Path, *others: str) -> AsyncIterator[tuple[Supervisor, Settings, str]]:
    """Start the API, and other processes, on a stack of their own. Yields the API's address too."""
    async with Supervisor(data_dir=folder, env=ONLY_ASKED, processes=(*others, "api"), quiet=True) as stack:
        servers = {"KAFKA": stack.kafka, "MILVUS": stack.milvus, "DATA_DIR": str(folder)}
        settings = Settings.load(ONLY_ASKED | {f"SEARCHLOOP_{name}": to for name, to in servers.items()})
        await ensure_topics(settings)
        await stack.ready(300, page="healthz")
        while (address := read_page(settings, "api", "readyz").get("address")) is None:  # noqa: ASYNC110 (of another process)
            await asyncio.sleep(0.2)
        yield stack, settings, str(address)


async def post(address: str, bodies: Sequence[bytes], pid: int) -> tuple[int, float]:
    """Post all bodies by ``CLIENTS`` clients.

    Returns how many records were accepted, and the CPU seconds that ``pid`` took.
    """
    waiting, accepted, process = list(bodies), 0, psutil.Process(pid)

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal accepted
        while waiting:
            async with session.post(
                f"{address}/v1/events", data=waiting.pop(), headers={"Content-Type": "application/json"}
            ) as answer:
                answer.raise_for_status()
                told = await answer.json()
                accepted += told["accepted"]

    before = sum(process.cpu_times()[:2])
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
    return accepted, sum(process.cpu_times()[:2]) - before


async def posts(folder: Path, *, events: int, seed: int) -> dict[str, Any]:
    """Post to both, in turns; the first turn warms up and does not count."""
    async with open_api(folder) as (stack, settings, address):
        sent = [r.value or b"" for r in events_of(shop_of(seed, datetime.now(UTC)), settings, events)]
        bodies = [b"[%b]" % b",".join(sent[at : at + BATCH]) for at in range(0, len(sent), BATCH)]
        bare = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.serving.bare_http", stack.kafka, settings.topic(SEARCHES.name),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            assert bare.stdout is not None
            other = f"http://{HOST}:{int(await bare.stdout.readline())}"
            sides = {"api": (address, stack.pid("api") or 0), "bare": (other, bare.pid)}
            took: dict[str, list[float]] = {name: [] for name in sides}
            lost = 0
            for turn in range(1 + TURNS):
                for name, (to, pid) in sides.items():
                    accepted, cpu_s = await post(to, bodies, pid)
                    lost += events - accepted
                    if turn:
                        took[name].append(cpu_s)
                say(
                    f"turn {turn}: " + ", ".join(f"{n} {events / t[-1]:,.0f}/s" for n, t in took.items() if t)
                )
        finally:
            bare.kill()
            await bare.wait()
    rates = {name: events / statistics.median(seconds) for name, seconds in took.items()}
    return {
        "events": events,
        "not_accepted": lost,
        "per_cpu_s": {name: round(rate) for name, rate in rates.items()},
        "of_bare": round(rates["api"] / rates["bare"], 3),
    }


async def searches(folder: Path, *, queries: int, seed: int) -> dict[str, Any]:
    """Search over Kafka and over HTTP."""
    shop = Shop(seed, end=datetime.now(UTC), products=300, weeks=2, dirt_share=0.0)
    texts = list(dict.fromkeys(query.text for query in shop.queries(1, queries * 2)))[:queries]
    random, took = Random(seed), {"kafka": [0.0] * 0, "http": [0.0] * 0}
    failed = 0
    async with open_api(folder, "stream", "indexer", "searcher") as (stack, settings, address):
        async with open_producer(KafkaConnection(kafka=stack.kafka)) as producer:
            await producer.send_all(
                Outgoing(settings.topic(r.topic_name), r.value, key=r.key) for r in shop.products()
            )
        await stack.ready(300)
        async with (
            open_requester(
                KafkaConnection(kafka=stack.kafka), settings.topic(SEARCH_RESPONSES.name)
            ) as requester,
            aiohttp.ClientSession() as session,
        ):

            async def over_kafka(text: str) -> tuple[bool, float]:
                request = SearchRequest(request_id=f"{random.random()}", user_query=text)
                response, ms = await ask(requester, settings, request)
                return response.status is Status.OK, ms

            async def over_http(text: str) -> tuple[bool, float]:
                started = time.perf_counter()
                async with session.get(f"{address}/v1/search", params={"q": text}) as answer:
                    await answer.read()
                    return answer.ok, (time.perf_counter() - started) * 1000

            for text in texts:
                await over_kafka(text)
            for text in texts[:WARM]:
                await over_http(text)
            for text in texts:
                for name, way in random.sample([("kafka", over_kafka), ("http", over_http)], 2):
                    good, ms = await way(text)
                    failed += not good
                    took[name].append(ms)
    p50 = {name: round(statistics.median(times), 2) for name, times in took.items()}
    p95 = {name: round(statistics.quantiles(times, n=20)[-1], 2) for name, times in took.items()}
    added = round(statistics.median(h - k for h, k in zip(took["http"], took["kafka"], strict=True)), 2)
    return {"queries": len(texts), "failed": failed, "p50_ms": p50, "p95_ms": p95, "added_ms": added}


async def run(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure both."""
    found = {"posts": await posts(folder / "posts", events=arguments.events, seed=arguments.seed)}
    found["search"] = await searches(folder / "search", queries=arguments.queries, seed=arguments.seed)
    return found


def main() -> int:
    """Run, and print the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="searchloop-http-", ignore_cleanup_errors=True) as folder:
        found = asyncio.run(run(Path(folder), arguments))
    ok = not found["posts"]["not_accepted"] and not found["search"]["failed"]
    return finish("http", seed=arguments.seed, started=started, ok=ok, **found)


if __name__ == "__main__":
    sys.exit(main())

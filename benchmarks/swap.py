"""Change what serves, again and again, under load.

No request fails, none mixes a query of one model with the index of another. Real parts: a broker, Milvus
(Lite or the server of the wheel), an indexer process that builds, verifies, catches up and publishes each
generation; and here the searcher's own follower, leases and answering, asked by threads, while the catalogue
changes. Each candidate is a model of its own: a random rotation of the base model, of the same or of another
dimension. Models are promoted, refreshed, taken back with and without their weights, in turns; all but the
first rank by every part. Latencies are those of one answer without Kafka; steady ones are taken between the
changes.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from artefacts.located import folders_of, use_store
from benchmarks.deployment.changing_catalogue import Churn
from benchmarks.deployment.readers import Asked, Contrast, Readers
from benchmarks.deployment.rotated_models import BASE_DIM, rotated_model
from benchmarks.deployment.swapping import (
    TURNS,
    ServingShop,
    SwapFindings,
    change,
    lost,
    steadily,
    unknown,
    until,
)
from benchmarks.harness.report import finish, say
from broker.producing import open_producer
from broker.records import Outgoing
from broker.topics import ensure_topics
from commands.support.topic_state import read_decisions
from embedded.milvus_server import MilvusServer
from embedded.supervisor import Supervisor
from indexer.guard import ACTOR as GUARD
from process.health import Health
from retrieval.index import VectorStore, collection_prefix
from retrieval.live import Live
from retrieval.release import WRONG_RELEASE_HITS, LoadedRelease
from schemas.releases import SearcherReport
from schemas.settings import SearcherSettings
from schemas.topics import CATALOG, SEARCHER_REPORTS
from searcher.catalog_words import CatalogWords
from searcher.counting import Counts
from searcher.follower import Follower
from searcher.recent import Recent
from searcher.reporting import new_searcher_id, report

SETTINGS = {
    "VERIFY_PROBES": "20",
    "RETIRE_GRACE": "PT3S",
    "SEARCHER_TIMEOUT": "PT10S",
    "CATALOG_SETTLE": "PT1S",
    "GUARD_SILENCE": "PT10M",
}
STEADY_EVERY = 5


def _foreign_hits() -> float:
    return float(WRONG_RELEASE_HITS._value.get())  # noqa: SLF001 (prometheus_client reads a counter in no other way)


def quantiles(values: list[float]) -> dict[str, float]:
    """Return p50, p99 and how many."""
    if not values:
        return {"p50": 0.0, "p99": 0.0, "n": 0}
    return {
        "p50": round(float(np.percentile(values, 50)), 2),
        "p99": round(float(np.percentile(values, 99)), 2),
        "n": len(values),
    }


@asynccontextmanager
async def a_stack(backend: str, folder: Path) -> AsyncIterator[Supervisor]:
    """Run a broker, Milvus and an indexer."""
    env = {f"SEARCHLOOP_{name}": value for name, value in SETTINGS.items()}
    first = rotated_model(folder / "models" / "0", seed=0, dim=BASE_DIM)
    env["SEARCHLOOP_BASE_MODEL"] = first.model
    with ExitStack() as held:
        if backend == "server":
            env["SEARCHLOOP_MILVUS"] = held.enter_context(
                MilvusServer(folder / "milvus-server")
            ).address  # in this thread: it outlives the stack
        async with Supervisor(
            data_dir=folder / "stack", env=env, processes=("indexer",), quiet=True
        ) as stack:
            yield stack


async def measure(backend: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run all changes on one backend."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="searchloop-swaps-") as name:
        folder = Path(name)
        async with a_stack(backend, folder) as stack:
            settings = SearcherSettings.load(
                {
                    "SEARCHLOOP_KAFKA": stack.kafka,
                    "SEARCHLOOP_MILVUS": stack.milvus,
                    "SEARCHLOOP_DATA_DIR": str(stack.data_dir),
                    "SEARCHLOOP_SHADOW_REQUESTS": "20",
                }
            )
            await ensure_topics(settings)
            return await _measure(backend, args, settings, stack, started)


async def _measure(
    backend: str, args: argparse.Namespace, settings: SearcherSettings, stack: Supervisor, started: float
) -> dict[str, Any]:
    use_store(folders_of(settings))  # the searcher of this process finds the base model there
    live: Live[LoadedRelease] = Live()
    found, stopping, changed = SwapFindings(), asyncio.Event(), asyncio.Event()
    wrong_before = _foreign_hits()
    with VectorStore(settings) as store, ThreadPoolExecutor(1) as loading:
        recent, counts, searcher_id = Recent(), Counts(), new_searcher_id()
        words = CatalogWords(settings)
        follower = Follower(
            settings, live, store, recent, words, Health(), loading, changed.set, counts.follow
        )
        async with open_producer(settings, linger_ms=0) as producer:
            shop = ServingShop(settings, producer, follower, args)
            topic = settings.topic(CATALOG.name)
            await producer.send_all(
                Outgoing(topic, p.to_json(), key=i.encode()) for i, p in shop.catalogue.products.items()
            )
            churn = Churn(shop.catalogue, producer, topic, per_s=args.changes_per_s, seed=args.seed)
            asked = Asked(recent, counts, asyncio.get_running_loop())
            readers = Readers(
                live, shop.catalogue, asked, threads=args.threads, pause_ms=args.pause_ms, seed=args.seed
            )
            alias = f"{collection_prefix(settings.topic_prefix, settings.deployment)}_live"
            contrast = Contrast(store, alias, pause_ms=100, seed=args.seed)

            def state() -> SearcherReport:
                if live.current is not None:
                    contrast.encoder = live.current.encoder
                generation, sequence = shop.serves()
                return SearcherReport(
                    searcher_id=searcher_id, generation=generation or None, sequence=sequence,
                    ready=generation > 0, refused=follower.refused, problem=follower.problem,
                    served=counts.served(), recent_p95_ms=counts.recent_p95_ms(),
                )  # fmt: skip

            tasks = [
                asyncio.create_task(words.follow(stopping)),
                asyncio.create_task(follower.follow(stopping)),
                asyncio.create_task(
                    report(producer, settings.topic(SEARCHER_REPORTS.name), state, changed, stopping)
                ),
            ]
            quiet = asyncio.Event()
            try:
                await until(lambda: shop.serves()[0] > 0, 180, "no first generation")
                tasks.append(asyncio.create_task(churn.run(quiet)))
                readers.start()
                contrast.start()
                for number in range(args.swaps):
                    if number % STEADY_EVERY == 0:
                        await steadily(readers, args.steady_s)
                    await change(shop, readers, found, TURNS[number % len(TURNS)])
                    if number % 10 == 9:
                        t = readers.ours
                        say(
                            f"{backend}: {found.swaps} swaps, {t.requests} requests, {t.failed} failed, "
                            f"{t.mixed} mixed; {t.faults[:1]}"
                        )
            except RuntimeError as error:
                found.faults.append(
                    f"{error}; the indexer says: {stack.log_path('indexer').read_text()[-1500:]}"
                )
            finally:
                quiet.set()
                await asyncio.to_thread(readers.stop)
                await asyncio.to_thread(contrast.stop)
            wrong = await lost(shop, store)
            found.faults += await unknown(settings, readers.ours.named)
            automatic = [d for d in await read_decisions(settings) if d.actor == GUARD]
            stopping.set()
            changed.set()
            await asyncio.gather(*tasks)
    tally = readers.ours
    latency = {phase: quantiles(tally.took_ms[phase]) for phase in ("steady", "building", "after_swap")}
    steady = latency["steady"]["p99"] or float("inf")
    ok = found.swaps == args.swaps and not (
        found.faults or tally.failed or tally.mixed or tally.deleted_returned or any(wrong.values())
    )
    return {
        "ok": bool(ok and _foreign_hits() == wrong_before and not stack.restarts("indexer")),
        "swaps": found.swaps, "refreshes": found.refreshes, "rollbacks": found.rollbacks,
        "same_dim": found.same_dim, "other_dim": found.other_dim, "requests": tally.requests,
        "failed": tally.failed, "mixed": tally.mixed, "deleted_returned": tally.deleted_returned,
        "automatic_rollbacks": [r for d in automatic for r in d.reasons],
        "foreign_hits": _foreign_hits() - wrong_before, "catalogue_changes": shop.catalogue.changes,
        "wrong_rows": wrong, "indexer_crashes": stack.restarts("indexer"),
        "contrast": {"requests": contrast.tally.requests, "failed": contrast.tally.failed,
                     "mixed": contrast.tally.mixed}, "latency_ms": latency,
        "p99_ratio": {phase: round(latency[phase]["p99"] / steady, 2) for phase in ("building",
            "after_swap")},
        "build_s": quantiles(found.build_s), "refresh_s": quantiles(found.refresh_s),
        "rollback_ms": quantiles(found.rollback_ms),
        "faults": [*found.faults, *tally.faults], "load_average": os.getloadavg()[0],
        "took_s": round(time.monotonic() - started, 1),
    }  # fmt: skip


async def run(args: argparse.Namespace) -> int:
    """Run the backends one after the other; return the exit code."""
    started = time.monotonic()
    results: dict[str, Any] = {}
    for backend in args.backend:
        results[backend] = await measure(backend, args)
    return finish(
        "swap", seed=args.seed, started=started, ok=all(r["ok"] for r in results.values()), **results
    )


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument(
        "--backend", type=lambda t: t.split(","), default=["lite"], help="lite, server, or both with a comma"
    )
    parser.add_argument("--products", type=int, default=250, help="products that change, beside 48 probes")
    parser.add_argument("--changes-per-s", type=float, default=50.0)
    parser.add_argument(
        "--pause-ms", type=float, default=100.0, help="mean pause of a thread between two requests"
    )
    parser.add_argument("--steady-s", type=float, default=2.0, help="length of each steady measurement")
    parser.add_argument("--seed", type=int, default=1)
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())

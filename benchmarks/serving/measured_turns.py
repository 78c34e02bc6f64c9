"""Searches of a real searcher, measured in turns with their bare parts.

So a machine busy with other things slows both sides.
"""

import asyncio
import itertools
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil

from benchmarks.serving.bare_parts import Encoding, library_encoding, one_by_one, open_echo
from benchmarks.serving.indexed_shop import IndexedShop, right
from broker.requesting import Requester
from commands.support.asking import ask
from retrieval.encoder import Encoder
from retrieval.index import VectorStore
from schemas.search import SearchRequest, SearchResponse, Status
from schemas.settings import SearcherSettings

_TURNS = 10
_RAMP_S = 0.5


@dataclass
class RequestTimes:
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
            "split_ms": dict(
                zip(("queue", "embed", "search", "kafka"), (round(float(v), 2) for v in split), strict=True)
            ),
            "requests": len(self.ms),
            "failed": self.failed,
        }


def quantile(values: list[float], percent: float) -> float:
    """Return a quantile, rounded to hundredths."""
    return round(float(np.percentile(values, percent)), 2)


@dataclass(frozen=True)
class MeasuredSearcher:
    """All that a measurement needs: a searcher that serves ``ground``, and the parts to measure alone.

    ``hits``: so many the searcher asks of Milvus for one query.
    """

    settings: SearcherSettings
    ground: IndexedShop
    encoder: Encoder
    store: VectorStore
    collection: str
    hits: int
    requester: Requester
    queries: Iterator[str]
    processes: dict[str, psutil.Process]
    generation: int = 1

    async def one(self, taken: RequestTimes, query: str | None = None) -> SearchResponse:
        """Ask one query and take its answer."""
        request = SearchRequest(
            request_id=uuid.uuid4().hex, user_query=query or next(self.queries), timeout_ms=60_000
        )
        response, ms = await ask(self.requester, self.settings, request)
        taken.add(response, ms, self.generation)
        return response


def _no_parts() -> dict[str, list[float]]:
    return {"embed": [], "search": [], "kafka": []}


def _one_by_one(stand: MeasuredSearcher, queries: Sequence[str]) -> list[tuple[float, float]]:
    return list(one_by_one(stand.encoder, stand.store, stand.collection, stand.hits, queries))


async def alone(stand: MeasuredSearcher, requests: int) -> dict[str, Any]:
    """Measure one request at a time, in turns with each bare part."""
    per_turn = max(1, requests // _TURNS)
    taken, parts, busy_s = RequestTimes(), _no_parts(), 0.0
    sample = (await stand.one(RequestTimes())).to_json()
    asked = SearchRequest(
        request_id=uuid.uuid4().hex, user_query=next(stand.queries), timeout_ms=60_000
    ).to_json()
    async with open_echo(stand.settings, sample) as echo:
        for _ in range(_TURNS):
            started = time.perf_counter()
            for _ in range(per_turn):
                await stand.one(taken)
            busy_s += time.perf_counter() - started
            some = list(itertools.islice(stand.queries, per_turn))
            for embed, search in await asyncio.to_thread(_one_by_one, stand, some):
                parts["embed"].append(embed)
                parts["search"].append(search)
            parts["kafka"] += await echo.round_trips(per_turn, asked)
    bare = {name: {"p50": quantile(ms, 50), "p99": quantile(ms, 99)} for name, ms in parts.items()}
    total = round(sum(part["p50"] for part in bare.values()), 2)
    row = {"in_flight": 1, **taken.row(), "per_s": round(len(taken.ms) / busy_s, 1)}
    return {**row, "bare_ms": bare, "bare_sum_p50_ms": total, "ratio": round(row["p50_ms"] / total, 2)}


async def crowded(stand: MeasuredSearcher, in_flight: int, seconds: float) -> dict[str, Any]:
    """Keep ``in_flight`` requests open, in turns with micro-batched encoding alone.

    By our encoder, and by the library's own.
    """
    taken, answered, window_s = RequestTimes(), 0, 0.0
    cpu_s = dict.fromkeys(stand.processes, 0.0)
    alone = {
        "own": Encoding(stand.encoder.encode_queries),
        "library": Encoding(library_encoding(stand.encoder.folder)),
    }
    for _ in range(4):
        ending = asyncio.Event()

        async def ask_on(ending: asyncio.Event = ending) -> None:
            while not ending.is_set():
                await stand.one(taken)

        askers = [asyncio.create_task(ask_on()) for _ in range(in_flight)]
        await asyncio.sleep(_RAMP_S)
        before, used, started = len(taken.ms), cpu_seconds(stand.processes), time.perf_counter()
        await asyncio.sleep(seconds / 4)
        answered, window_s = answered + len(taken.ms) - before, window_s + time.perf_counter() - started
        cpu_s = {name: cpu_s[name] + s - used[name] for name, s in cpu_seconds(stand.processes).items()}
        ending.set()
        await asyncio.gather(*askers)
        for one in alone.values():
            await asyncio.to_thread(one.run, stand.queries, stand.settings.batch_max, seconds / 4)
    per_s = answered / window_s
    return {
        "in_flight": in_flight,
        **taken.row(),
        "per_s": round(per_s, 1),
        "encode_alone_per_s": {name: round(one.per_s, 1) for name, one in alone.items()},
        "share_of_encoding": {name: round(per_s / one.per_s, 2) for name, one in alone.items()},
        "cpu_ms": {name: round(1000 * s / answered, 2) for name, s in cpu_s.items()}
        | {f"encode_alone_{name}": round(one.cpu_ms, 2) for name, one in alone.items()},
    }


def cpu_seconds(processes: dict[str, psutil.Process]) -> dict[str, float]:
    """Return the processor time that each process has used, all its threads together."""
    times = {name: process.cpu_times() for name, process in processes.items()}
    return {name: float(used.user + used.system) for name, used in times.items()}


async def recall(stand: MeasuredSearcher, k: int = 10) -> float:
    """Return the share of the exact k nearest products in what is served, over up to a hundred queries."""
    queries = list(dict.fromkeys(itertools.islice(stand.queries, 100)))
    found = [await stand.one(RequestTimes(), query) for query in queries]
    vectors = stand.encoder.encode_queries(queries)
    shares = [
        right(stand.ground, vector, [h.product_id for h in r.hits], k)
        for vector, r in zip(vectors, found, strict=True)
    ]
    return round(float(np.mean(shares)), 4)

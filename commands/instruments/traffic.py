"""Search traffic at a steady rate, and what became of every request.

An open loop: a slow answer does not hold the next request back, so queueing shows in the latencies. Where a
machine is much too slow for the rate, ``most_flying`` bounds the queue, and ``held_back`` counts the requests
that waited for it.
"""

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import numpy as np

from broker.requesting import Requester
from commands.support.asking import ask
from schemas.search import SearchRequest, SearchResponse, Status
from schemas.settings import Settings


@dataclass(frozen=True, slots=True)
class Answer:
    """One request and its end. ``response`` None: no answer came."""

    phase: str
    query: str
    latency_ms: float
    response: SearchResponse | None

    @property
    def failed(self) -> bool:
        """Whether the request ended in anything but hits or an honest empty list."""
        return self.response is None or self.response.status is not Status.OK


@dataclass
class Traffic:
    """Everything that was asked and answered. ``phase`` labels what is sent from now on."""

    phase: str = "before"
    sent: int = 0
    held_back: int = 0
    answers: list[Answer] = field(default_factory=list)

    def latency_ms(self) -> dict[str, dict[str, float]]:
        """Return p50, p99 and the count per phase."""
        phases = dict.fromkeys(a.phase for a in self.answers)
        found = {
            p: np.array([a.latency_ms for a in self.answers if a.phase == p and not a.failed]) for p in phases
        }
        return {
            p: {
                "p50": round(float(np.percentile(v, 50)), 1),
                "p99": round(float(np.percentile(v, 99)), 1),
                "n": len(v),
            }
            for p, v in found.items()
            if len(v)
        }


@asynccontextmanager
async def steady_traffic(
    requester: Requester,
    settings: Settings,
    queries: Sequence[str],
    *,
    per_second: float,
    k: int = 10,
    timeout_ms: int = 10_000,
    most_flying: int | None = None,
) -> AsyncIterator[Traffic]:
    """Ask the queries in turn, ``per_second`` of them each second, for the length of the block.

    Then wait for what is in flight.
    """
    traffic = Traffic()
    flying: set[asyncio.Task[None]] = set()

    async def one(query: str, phase: str) -> None:
        started = time.perf_counter()
        request = SearchRequest(
            request_id=uuid.uuid4().hex, user_query=query, k=k, timeout_ms=timeout_ms, explain=True
        )
        try:
            response, took = await ask(requester, settings, request)
        except TimeoutError:
            response, took = None, (time.perf_counter() - started) * 1000
        traffic.answers.append(Answer(phase, query, took, response))

    async def drive() -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for query in itertools.cycle(queries):
            task = asyncio.create_task(one(query, traffic.phase))
            flying.add(task)
            task.add_done_callback(flying.discard)
            traffic.sent += 1
            due += 1 / per_second
            await asyncio.sleep(max(0.0, due - loop.time()))
            if most_flying is not None and len(flying) >= most_flying:
                traffic.held_back += 1
                await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
                due = loop.time()

    driver = asyncio.create_task(drive())
    try:
        yield traffic
    finally:
        driver.cancel()
        with suppress(asyncio.CancelledError):
            await driver
        await asyncio.gather(*flying)

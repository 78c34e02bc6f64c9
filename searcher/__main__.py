"""``python -m searcher``: put the pieces together and run them until the process is told to stop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from broker.consuming import SHORT_SESSION_MS, open_group
from broker.producing import open_producer
from process.health import Health
from process.running import run_process
from retrieval.index import VectorStore
from retrieval.live import Live
from retrieval.release import LoadedRelease
from schemas.releases import SearcherReport
from schemas.settings import SearcherSettings
from schemas.topics import SEARCH_REQUESTS, SEARCHER_REPORTS
from searcher.counting import Counts
from searcher.follower import Follower
from searcher.recent import Recent
from searcher.reporting import new_searcher_id, report
from searcher.serving import BATCHES, Server


async def work(settings: SearcherSettings, health: Health, stopping: asyncio.Event) -> None:
    """Follow, serve and report until ``stopping``. Requests are not read before a first release is live."""
    live: Live[LoadedRelease] = Live()
    recent, counts, searcher_id = Recent(), Counts(), new_searcher_id()
    changed = asyncio.Event()
    with (
        await asyncio.to_thread(VectorStore, settings.milvus) as store,
        _threads("search", BATCHES) as searching,
        _threads("load", 1) as loading,
    ):
        follower = Follower(settings, live, store, recent, health, loading, changed.set, counts.follow)

        def state() -> SearcherReport:
            serving, pointer = live.current, follower.served
            return SearcherReport(
                searcher_id=searcher_id,
                deployment=settings.deployment,
                generation=serving.generation if serving else None,
                sequence=pointer.sequence if pointer else 0,
                ready=serving is not None,
                refused=follower.refused,
                problem=follower.problem,
                served=counts.served(),
                recent_p95_ms=counts.recent_p95_ms(),
            )

        async with open_producer(settings.kafka, linger_ms=0, client_id="searcher") as producer, asyncio.TaskGroup() as tasks:
            tasks.create_task(_wake(changed, stopping))
            tasks.create_task(follower.follow(stopping))
            tasks.create_task(report(producer, settings.topic(SEARCHER_REPORTS.name), state, changed, stopping))
            if await _first(follower.ready, stopping):
                group = settings.topic(f"searcher-{settings.deployment}")
                topics = [settings.topic(SEARCH_REQUESTS.name)]
                async with open_group(
                    settings.kafka,
                    topics,
                    group,
                    fetch_wait_ms=settings.fetch_wait_ms,
                    session_timeout_ms=SHORT_SESSION_MS,
                    committed=False,  # an answer does no harm, and nobody's open transaction may keep others waiting
                ) as consumer:
                    await Server(settings, live, recent, counts, consumer, producer, searching).serve(stopping)


def _threads(name: str, count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)


async def _wake(changed: asyncio.Event, stopping: asyncio.Event) -> None:
    await stopping.wait()
    changed.set()


async def _first(ready: asyncio.Event, stopping: asyncio.Event) -> bool:
    """Wait for either event; say whether the first release is ready."""
    waiting = [asyncio.create_task(ready.wait()), asyncio.create_task(stopping.wait())]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return ready.is_set() and not stopping.is_set()


if __name__ == "__main__":
    run_process("searcher", SearcherSettings, work)

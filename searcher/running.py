"""The searcher's work: put the pieces together and run them until the process is told to stop."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from broker.consuming import SHORT_SESSION_MS, open_group
from broker.foreign import TopicFacts, facts_of, open_foreign_producer
from broker.producing import Producer, open_producer
from broker.pulse import Pulse, watch_server
from process.collector import open_spans
from process.health import Health
from retrieval.index import VectorStore
from retrieval.live import Live
from retrieval.release import LoadedRelease
from retrieval.seal import KEY_BYTES
from schemas.releases import SearcherReport
from schemas.settings import SearcherSettings, SettingsError, named
from schemas.topics import SEARCH_REQUESTS, SEARCH_RESPONSES, SEARCHER_REPORTS
from searcher.catalog_words import CatalogWords
from searcher.counting import Counts
from searcher.exploring import Explorer
from searcher.follower import Follower
from searcher.recent import Recent
from searcher.replying import Replies
from searcher.reporting import new_searcher_id, report
from searcher.serving import BATCHES, Server
from searcher.shop_rules import ShopRules
from searcher.turns import take_turns

PATIENCE_S = 5.0


async def work(settings: SearcherSettings, health: Health, stopping: asyncio.Event) -> None:
    """Follow, serve and report until ``stopping``. Requests are not read before a first release is live."""
    live: Live[LoadedRelease] = Live()
    recent, counts, searcher_id, seal_key = (
        Recent(),
        Counts(),
        new_searcher_id(),
        secrets.token_bytes(KEY_BYTES),
    )
    changed = asyncio.Event()
    topics = await reply_topics(settings)
    with (
        await asyncio.to_thread(VectorStore, settings) as store,
        _threads("search", BATCHES) as searching,
        _threads("load", 1) as loading,
        open_spans(settings, "searcher") as spans,
    ):
        milvus = Pulse("Milvus")
        health.faults["milvus"] = milvus.fault
        explorer = Explorer(settings) if settings.explore_share else None
        words = CatalogWords(settings, explorer.products if explorer else None)
        rules = ShopRules(settings)
        follower = Follower(settings, live, store, recent, words, health, loading, changed.set, counts.follow)

        def state() -> SearcherReport:
            serving, pointer = live.current, follower.served
            return SearcherReport(
                searcher_id=searcher_id,
                deployment=settings.deployment,
                seal_key=seal_key.hex(),
                generation=serving.generation if serving else None,
                sequence=pointer.sequence if pointer else 0,
                ready=serving is not None,
                refused=follower.refused,
                problem=follower.problem,
                served=counts.served(),
                recent_p95_ms=counts.recent_p95_ms(),
            )

        async with open_producer(settings, linger_ms=0) as producer, asyncio.TaskGroup() as tasks:
            tasks.create_task(_wake(changed, stopping))
            watching = tasks.create_task(watch_server(lambda: asyncio.to_thread(store.answers), milvus))
            tasks.create_task(words.follow(stopping))
            tasks.create_task(rules.follow(stopping))
            tasks.create_task(_follow_after(rules.complete, follower, stopping))
            tasks.create_task(take_turns(follower.rivals, recent, counts, loading, stopping))
            tasks.create_task(
                report(producer, settings.topic(SEARCHER_REPORTS.name), state, changed, stopping)
            )
            if await _first(follower.ready, stopping):
                group = settings.topic(f"searcher-{settings.deployment}")
                asked = [settings.topic(SEARCH_REQUESTS.name)]
                async with (
                    _replies(settings, producer, topics) as replies,
                    open_group(
                        settings,
                        asked,
                        group,
                        fetch_wait_ms=settings.fetch_wait_ms,
                        session_timeout_ms=SHORT_SESSION_MS,
                        # An answer does no harm, and nobody's open transaction may keep others waiting
                        committed=False,
                    ) as consumer,
                ):
                    partitions = {topic: facts.partitions for topic, facts in topics.items()}
                    await Server(
                        settings,
                        live,
                        rules.rules,
                        recent,
                        counts,
                        consumer,
                        producer,
                        replies,
                        partitions,
                        searching,
                        seal_key,
                        explorer,
                        follower.held,
                        spans,
                    ).serve(stopping)
            watching.cancel()


async def reply_topics(settings: SearcherSettings) -> dict[str, TopicFacts]:
    """Return what is known of the default reply topic and the further ones.

    Raises ``SettingsError`` for one that does not exist. A topic that was made a moment ago is not known to
    every broker at once: a missing one is asked for again, for ``PATIENCE_S``.
    """
    wanted = [
        settings.topic(SEARCH_RESPONSES.name),
        *named(settings.reply_topics),
    ]
    end = time.monotonic() + PATIENCE_S
    while missing := [topic for topic in wanted if topic not in (found := await facts_of(settings, wanted))]:
        if time.monotonic() > end:
            raise SettingsError(
                f"SEARCHLOOP_REPLY_TOPICS names {', '.join(map(repr, missing))}, which the broker does not "
                "have: "
                "create the topic, or correct the name (full names, without the prefix being put before them)"
            )
        await asyncio.sleep(0.25)
    return found


@asynccontextmanager
async def _replies(
    settings: SearcherSettings, producer: Producer, topics: Mapping[str, TopicFacts]
) -> AsyncIterator[Replies]:
    """Open what writes answers.

    To further topics by a producer of its own, in batches that the smallest of them takes.
    """
    default = settings.topic(SEARCH_RESPONSES.name)
    limits = {topic: facts.record_bytes for topic, facts in topics.items()}
    async with AsyncExitStack() as stack:
        further = None
        if least := min((size for topic, size in limits.items() if topic != default), default=None):
            further = await stack.enter_async_context(open_foreign_producer(settings, record_bytes=least))
        yield Replies(producer, further, default, limits)


def _threads(name: str, count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)


async def _follow_after(read: asyncio.Event, follower: Follower, stopping: asyncio.Event) -> None:
    """Follow releases once the rules are read: nothing is answered without those that are there."""
    await read.wait()
    await follower.follow(stopping)


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

"""Follow the live pointer: open the new release beside the old, warm it, change one reference, close what is retired.

The log decides what serves; this process only catches up with it. A release that cannot be loaded changes nothing: the one
before serves on, and loading is tried again. The previous generation stays open, so that a rollback is one assignment.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

import structlog

from broker.reading import Reader, open_reader
from process.health import Health
from retrieval.encoder import EncodingError, ModelError
from retrieval.index import StoreError, VectorStore
from retrieval.live import Live
from retrieval.release import LoadedRelease, ReleaseError
from schemas.releases import LivePointer, Release
from schemas.settings import SearcherSettings
from schemas.topics import RELEASES
from searcher.metrics import GENERATION, LOAD_FAILURES, LOAD_SECONDS, SEQUENCE
from searcher.pointer import newest_pointer

log = structlog.get_logger(__name__)

UNLOADABLE = (ReleaseError, ModelError, EncodingError, StoreError, OSError)
RETRY_S = 2.0
FIRST_QUERIES = ("wireless headphones", "running shoes", "usb c cable", "gift for a child")


class Recent:
    """The last real queries of this process, for warming. Appending and reading are safe from any thread."""

    def __init__(self, capacity: int = 256) -> None:
        self._queries: deque[str] = deque(maxlen=capacity)

    def add(self, query: str) -> None:
        """Remember one query."""
        self._queries.append(query)

    def sample(self, n: int) -> list[str]:
        """Return at most n different queries, the newest first; a fixed few when there are none yet."""
        return list(dict.fromkeys([*reversed(list(self._queries)), *FIRST_QUERIES]))[:n]


class Follower:
    """Keeps ``live`` at what ``releases`` says. Run ``follow`` as one task."""

    def __init__(
        self,
        settings: SearcherSettings,
        live: Live[LoadedRelease],
        store: VectorStore,
        recent: Recent,
        health: Health,
        executor: Executor,
        changed: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._live = live
        self._store = store
        self._recent = recent
        self._health = health
        self._executor = executor
        self._changed = changed
        self._open: dict[int, LoadedRelease] = {}
        self._failed: tuple[int, float] = (-1, 0.0)
        self.served: LivePointer | None = None
        self.ready = asyncio.Event()

    async def follow(self, stopping: asyncio.Event) -> None:
        """Follow until ``stopping`` is set. Raises ``KafkaError`` when the broker is gone for good."""
        wanted: LivePointer | None = None
        async with open_reader(self._settings.kafka, [self._settings.topic(RELEASES.name)], fetch_wait_ms=100) as reader:
            wanted = await self._to_the_end(reader)
            while not stopping.is_set():
                if wanted is not None and self._due(wanted):
                    await self._adopt(wanted)
                wanted = newest_pointer(await reader.poll(timeout_ms=100), self._settings.deployment, wanted)

    async def _to_the_end(self, reader: Reader) -> LivePointer | None:
        pointer: LivePointer | None = None
        async for record in reader.until(await reader.end_offsets()):
            pointer = newest_pointer([record], self._settings.deployment, pointer)
        if pointer is None:
            self._health.detail["waiting"] = "no release yet"
        return pointer

    def _due(self, wanted: LivePointer) -> bool:
        sequence, at = self._failed
        rested = sequence != wanted.sequence or time.monotonic() >= at + RETRY_S
        return rested and (self.served is None or wanted.sequence > self.served.sequence)

    async def _adopt(self, pointer: LivePointer) -> None:
        started = time.monotonic()
        try:
            release = await self._opened(pointer.live)
        except UNLOADABLE as error:
            LOAD_FAILURES.inc()
            self._failed = (pointer.sequence, time.monotonic())
            self._health.detail["load_error"] = f"generation {pointer.live.generation}: {error}"
            log.warning("release not loaded, the one before serves on", generation=pointer.live.generation, reason=str(error))
            return
        self._live.swap(release)
        self.served = pointer
        GENERATION.set(release.generation)
        SEQUENCE.set(pointer.sequence)
        LOAD_SECONDS.set(time.monotonic() - started)
        self._health.detail = {"generation": release.generation, "sequence": pointer.sequence, "model": release.model_id}
        self._health.ready = True
        self.ready.set()
        self._changed()
        log.info(
            "serves", generation=release.generation, sequence=pointer.sequence, cause=pointer.cause, after_s=time.monotonic() - started
        )
        await self._keep(pointer)

    async def _keep(self, pointer: LivePointer) -> None:
        """Hold live and previous open, close all others once nobody uses them."""
        if pointer.previous is not None:
            try:
                await self._opened(pointer.previous)
            except UNLOADABLE as error:
                log.warning("previous release not open, a rollback will have to load it", reason=str(error))
        kept = {r.generation for r in (pointer.live, pointer.previous) if r is not None}
        for generation in sorted(self._open.keys() - kept):
            retired = self._open.pop(generation)
            if await self._live.drained(retired, self._settings.drain_timeout.total_seconds()):
                retired.close()
                log.info("retired", generation=generation)
            else:
                log.error("a lease of a retired release did not end, it is left open", generation=generation)

    async def _opened(self, release: Release) -> LoadedRelease:
        if release.generation not in self._open:
            loop = asyncio.get_running_loop()
            self._open[release.generation] = await loop.run_in_executor(self._executor, self._load, release)
        return self._open[release.generation]

    def _load(self, release: Release) -> LoadedRelease:
        shared = next((r.encoder for r in self._open.values() if r.encoder.fingerprint == release.model_sha256), None)
        loaded = LoadedRelease.open(
            release, self._store, threads=self._settings.torch_threads, encoder=shared, over_fetch=self._settings.over_fetch
        )
        loaded.warm(self._recent.sample(self._settings.warm_queries))
        return loaded

"""Follow the live pointer.

Open the new release beside the old, warm it, change one reference, close what is retired. The log decides
what serves; this process only catches up with it. A release that cannot be loaded, or that answers the last
requests badly, changes nothing: the one before serves on (after a start: the previous one), ``problem`` says
why, and loading is tried again. What the pointer names besides stays open, so that a rollback is one
assignment, of the model too; it is opened and closed beside serving, and no pointer waits for it.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor

import structlog

from broker.reading import Reader, open_reader
from broker.release_log import ReleaseLog
from process.health import Health
from retrieval.encoder import EncodingError
from retrieval.index import StoreError, VectorStore
from retrieval.live import Live
from retrieval.model_folder import BUNDLED, ModelError, fingerprint, resolve_model
from retrieval.release import LoadedRelease, ReleaseError
from schemas.releases import LivePointer
from schemas.search import RankingAsked
from schemas.settings import SearcherSettings
from schemas.topics import RELEASES
from searcher.catalog_words import CatalogWords
from searcher.metrics import GENERATION, LOAD_FAILURES, LOAD_SECONDS, ONNX, SEQUENCE
from searcher.open_releases import OpenReleases
from searcher.pointer import take_pointers
from searcher.recent import Recent
from searcher.replaying import replay
from searcher.shadow import ShadowError, objection

log = structlog.get_logger(__name__)

UNLOADABLE = (ReleaseError, ModelError, EncodingError, StoreError, OSError)
RETRY_S = 2.0
LONGEST_RETRY_S = 30.0
HOLD_S = 3.0


class Follower:
    """Keeps ``live`` at what ``releases`` says. Run ``follow`` as one task."""

    def __init__(
        self,
        settings: SearcherSettings,
        live: Live[LoadedRelease],
        store: VectorStore,
        recent: Recent,
        words: CatalogWords,
        health: Health,
        executor: Executor,
        changed: Callable[[], None],
        adopted: Callable[[LivePointer], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._live = live
        self._recent = recent
        self._health = health
        self._executor = executor
        self._changed = changed
        self._adopted = adopted
        self._releases = OpenReleases(settings, live, store, recent, words)
        self._wanted: LivePointer | None = None
        self._moved = asyncio.Event()
        self._failed: tuple[LivePointer | None, float] = (None, 0.0)
        self._retry_s = RETRY_S
        self._base_sha256: str | None = None  # of a pretrained model that lies in the store
        self.refused: int | None = None
        self.problem: str | None = None
        self.served: LivePointer | None = None
        self.ready = asyncio.Event()

    async def follow(self, stopping: asyncio.Event) -> None:
        """Follow until ``stopping`` is set. Raises ``KafkaError`` when the broker is gone for good."""
        releases, over = ReleaseLog(self._settings.deployment), threading.Event()
        topic = self._settings.topic(RELEASES.name)
        async with (
            asyncio.TaskGroup() as tasks,
            open_reader(self._settings, [topic], fetch_wait_ms=100) as reader,
        ):
            beside = [tasks.create_task(self._keep_on()), tasks.create_task(self._know_base())]
            try:
                await self._to_the_end(reader, releases)
                while not stopping.is_set():
                    if releases.pointer is not None and self._due(releases.pointer):
                        before = self._live.current
                        await self._adopt(releases.pointer, over)
                        if (live := self._live.current) is not None and live is not before:
                            tasks.create_task(asyncio.to_thread(live.hold_rows, over.is_set))
                    take_pointers(releases, await reader.poll(timeout_ms=100))
            finally:
                over.set()
                for task in beside:
                    task.cancel()

    async def _know_base(self) -> None:
        """Tell the pretrained model by its weights as well, where an indexer has given it another name."""
        if self._settings.base_model not in BUNDLED:
            self._base_sha256 = await asyncio.to_thread(_fingerprint, self._settings.base_model)

    def rivals(self) -> tuple[LoadedRelease, LoadedRelease] | None:
        """Return what serves and what served before its promotion, as long as both are open."""
        live, pointer = self._live.current, self.served
        promotion = pointer.promotion if pointer else None
        before = self._releases.get(promotion.before.generation) if promotion else None
        return (live, before) if live and before and live is not before else None

    def held(self, ranking: RankingAsked) -> LoadedRelease | None:
        """Return the previous generation, or one of the pretrained model, if it is open. From any thread."""
        pointer = self.served
        if pointer is None:
            return None
        if ranking == "previous":
            named = [pointer.previous] if pointer.previous else []
        else:
            base = {self._settings.base_model, self._base_sha256}
            named = [release for release in pointer.named if {release.model, release.model_sha256} & base]
        return next(filter(None, (self._releases.get(release.generation) for release in named)), None)

    async def _to_the_end(self, reader: Reader, releases: ReleaseLog) -> None:
        async for record in reader.until(await reader.end_offsets()):
            take_pointers(releases, [record])
        if releases.pointer is None:
            self._health.detail["waiting"] = "no release yet"

    def _due(self, wanted: LivePointer) -> bool:
        failed, at = self._failed
        if failed is not wanted:
            self._retry_s = RETRY_S
        rested = failed is not wanted or time.monotonic() >= at + self._retry_s
        return rested and self.served is not wanted

    async def _adopt(self, pointer: LivePointer, over: threading.Event) -> None:
        started = time.monotonic()
        self._wanted = pointer
        self._moved.set()
        try:
            release = await self._releases.opened(pointer.live, self._executor)
            await self._hold_rows(pointer, release, over)
            await self._ask_in_shadow(pointer, release)
        except (*UNLOADABLE, ShadowError) as error:
            await self._serve_on(pointer, error)
            return
        self._live.swap(release)
        self.served = pointer
        self._adopted(pointer)
        self.refused = self.problem = None
        GENERATION.set(release.generation)
        SEQUENCE.set(pointer.sequence)
        ONNX.set(release.encoder.quick)
        LOAD_SECONDS.set(time.monotonic() - started)
        self._health.detail = {
            "generation": release.generation,
            "sequence": pointer.sequence,
            "model": release.model_id,
            "small_batches": "onnx" if release.encoder.quick else "torch",
            "torch": release.encoder.by_torch,
        }
        self._health.ready = True
        self.ready.set()
        self._changed()
        log.info(
            "serves",
            generation=release.generation,
            sequence=pointer.sequence,
            cause=pointer.cause,
            after_s=time.monotonic() - started,
        )
        self._moved.set()

    async def _hold_rows(self, pointer: LivePointer, release: LoadedRelease, over: threading.Event) -> None:
        """Read rows before it serves, for ``HOLD_S`` at most; a rollback waits for nothing."""
        live = self._live.current
        if live is None or live is release or pointer.cause == "rollback":
            return
        end = time.monotonic() + HOLD_S
        await asyncio.get_running_loop().run_in_executor(
            self._executor, release.hold_rows, lambda: over.is_set() or time.monotonic() > end
        )

    async def _ask_in_shadow(self, pointer: LivePointer, release: LoadedRelease) -> None:
        """Refuse a generation that answers the last requests worse than the live one.

        A rollback waits for nothing.
        """
        live, requests = self._live.current, self._recent.last(self._settings.shadow_requests)
        if live is None or live is release or not requests or pointer.cause == "rollback":
            return
        run = asyncio.get_running_loop().run_in_executor
        new = await run(self._executor, replay, release, requests)
        old = await run(self._executor, replay, live, requests)
        log.info(
            "shadow requests done",
            generation=release.generation,
            asked=new.asked,
            errors=(new.errors, old.errors),
            empty=(new.empty, old.empty),
            p50_ms=(round(new.p50_ms, 1), round(old.p50_ms, 1)),
        )
        reason = objection(new, old)
        if reason and not pointer.forced:
            self._releases.refuse(release.generation)
            raise ShadowError(reason)

    async def _serve_on(self, pointer: LivePointer, error: Exception) -> None:
        """Say why the live generation does not serve; before anything serves, let the previous one."""
        LOAD_FAILURES.inc()
        self._health.detail.pop("waiting", None)  # there is a release
        self.problem = f"generation {pointer.live.generation}: {error}"[:500]
        self.refused = pointer.live.generation if isinstance(error, ShadowError) else None
        self._health.detail["load_error"] = self.problem
        log.warning(
            "release not loaded, the previous one keeps serving",
            generation=pointer.live.generation,
            reason=str(error),
        )
        fallback = pointer.previous
        if (
            self._live.current is None
            and fallback is not None
            and fallback.rolled_back is None
            and pointer.cause != "rollback"
        ):
            try:
                release = await self._releases.opened(fallback, self._executor)
            except UNLOADABLE as second:
                log.warning(
                    "previous release could not be loaded either",
                    generation=fallback.generation,
                    reason=str(second),
                )
            else:
                self._live.swap(release)
                GENERATION.set(release.generation)
                self._health.ready = True
                self.ready.set()
                log.warning("serving the previous generation", generation=release.generation)
        if self._live.current is not None:
            self._health.detail["generation"] = self._live.current.generation
        self._failed = (pointer, time.monotonic())
        self._retry_s = min(LONGEST_RETRY_S, self._retry_s * 2)
        self._changed()

    async def _keep_on(self) -> None:
        """Hold open what the pointer names, and nothing else."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            if self._wanted is not None:
                await self._keep(self._wanted)

    async def _keep(self, pointer: LivePointer) -> None:
        """Close what the pointer does not name; once the live one serves, open the others.

        So not even while a new model is loaded are more than three open.
        """
        serving, named = self._live.current, pointer.named
        await self._releases.close_but(
            {r.generation for r in named} | ({serving.generation} if serving else set())
        )
        for release in named[1:]:
            if self.served is not pointer:
                return
            try:
                await self._releases.opened(release, None)
            except UNLOADABLE as error:
                log.warning(
                    "a release that may serve again is not loaded: a rollback must load it first",
                    generation=release.generation,
                    reason=str(error),
                )


def _fingerprint(model: str) -> str | None:
    """Return the fingerprint of a model, None where this machine has it not."""
    try:
        return fingerprint(resolve_model(model))
    except (ModelError, OSError):
        return None

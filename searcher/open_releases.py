"""The releases that a searcher holds open: each is opened once, whoever asks, until nobody names it.

What can be shared is: the encoder of equal models, the rows of equal collections.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection
from concurrent.futures import Executor
from functools import partial

import structlog

from retrieval.encoder import Encoder
from retrieval.index import VectorStore
from retrieval.live import Live
from retrieval.naming import stamp_of
from retrieval.product_rows import ProductRows
from retrieval.ranking import weighed
from retrieval.release import LoadedRelease, rows_of
from retrieval.words import WordIndex
from schemas.releases import Release
from schemas.settings import SearcherSettings
from searcher.catalog_words import CatalogWords
from searcher.encoding import serving_encoder
from searcher.recent import Recent

log = structlog.get_logger(__name__)


class OpenReleases:
    """For one event loop."""

    def __init__(
        self,
        settings: SearcherSettings,
        live: Live[LoadedRelease],
        store: VectorStore,
        recent: Recent,
        words: CatalogWords,
    ) -> None:
        """``live``: who tells how long a retired release is used."""
        self._settings = settings
        self._live = live
        self._store = store
        self._recent = recent
        self._words = words
        self._open: dict[int, LoadedRelease] = {}
        self._opening: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    def get(self, generation: int) -> LoadedRelease | None:
        """Return a release that is open, or None."""
        return self._open.get(generation)

    async def opened(self, release: Release, executor: Executor | None) -> LoadedRelease:
        """Return the release, opened in ``executor`` (None: the loop's own) unless it is open.

        Who asks while it is being opened waits for that. Raises as ``LoadedRelease.open`` does.
        """
        async with self._opening[release.generation]:
            if release.generation not in self._open:
                loop, ranking = asyncio.get_running_loop(), release.ranking
                all_words = weighed(ranking)
                words = (
                    await self._words.of(ranking.language or "") if all_words else self._words.without_texts()
                )
                load = partial(self._load, release, words, *self._shared(release))
                self._open[release.generation] = await loop.run_in_executor(executor, load)
            return self._open[release.generation]

    def refuse(self, generation: int) -> None:
        """Let go of a release that is not to serve."""
        self._open.pop(generation, None)

    async def close_but(self, kept: Collection[int]) -> None:
        """Close all others, each once nobody uses it; one that is used for too long is left to its users."""
        retired = {generation: self._open.pop(generation) for generation in self._open.keys() - kept}
        for generation, release in sorted(retired.items()):
            self._opening.pop(generation, None)
            if await self._live.drained(release, self._settings.drain_timeout.total_seconds()):
                release.close()
                log.info("retired", generation=generation)
            else:
                log.error("a request still uses a retired release: it is left open", generation=generation)

    def _shared(self, release: Release) -> tuple[Encoder | None, ProductRows | None]:
        """Return what another open release has of it: a refresh has the collection of what it refreshes."""
        others, where = self._open.values(), (release.collection, stamp_of(release))
        encoder = next((r.encoder for r in others if r.encoder.fingerprint == release.model_sha256), None)
        rows = next((r.rows for r in others if (r.release.collection, stamp_of(r.release)) == where), None)
        return encoder, rows

    def _load(
        self, release: Release, words: WordIndex, encoder: Encoder | None, rows: ProductRows | None
    ) -> LoadedRelease:
        loaded = LoadedRelease.open(
            release,
            self._store,
            encoder=encoder,
            words=words,
            load=lambda model: serving_encoder(model, self._settings),
            over_fetch=self._settings.over_fetch,
            remembered=self._settings.remembered_queries,
            rows=rows or rows_of(release, self._store, self._settings.remembered_rows),
        )
        if searched := self._settings.warm_queries:
            lately = self._recent.sample(max(searched, self._settings.remembered_queries))
            loaded.warm(lately, searched)
        return loaded

"""One build from order to publication: fill, verify, catch up, publish.

Whatever is wrong with a candidate ends as a failed generation. A Milvus or Kafka that cannot be reached is
not caught: it ends the process, and the build goes on after the restart. A Milvus that answers and refuses (a
full disk, too little memory) fails the generation.
"""

import asyncio
import time

import structlog

from indexer.build import Workshop, fill, gather
from indexer.catalog_sync import CatalogSync
from indexer.deployer import Deployer
from indexer.metrics import BUILD_SECONDS, BUILDS
from indexer.room import free_room, missing_room, model_bytes
from indexer.verify import failures, id_set_sha256, verify
from retrieval.encoder import EncodingError
from retrieval.index import StoreError
from retrieval.model_folder import ModelError, resolve_model
from retrieval.rows import RowError
from schemas.releases import Release
from schemas.training import Check

log = structlog.get_logger(__name__)


class AbortedError(Exception):
    """The order was taken back while the generation was built."""


class Builder:
    """Builds what is ordered, one generation at a time: ``current``, with so many ``rows`` written."""

    def __init__(self, shop: Workshop, sync: CatalogSync, deployer: Deployer) -> None:
        self.current: Release | None = None
        self.rows = 0
        self._shop = shop
        self._sync = sync
        self._deployer = deployer

    async def run(self) -> None:
        """Carry out orders, for ever."""
        while True:
            release = await self._deployer.orders.get()
            started = time.monotonic()
            self.current, self.rows = release, 0
            try:
                await self._make(release)
                outcome = "published"
            except AbortedError as error:
                outcome = "aborted"
                await self._deployer.fail(release, [str(error)])
            except (ModelError, EncodingError, RowError, MemoryError) as error:
                outcome = "failed"
                await self._deployer.fail(release, [f"{type(error).__name__}: {error}"])
            except StoreError as error:
                if not error.refused:
                    raise
                outcome = "failed"
                await self._deployer.fail(release, [str(error)])
            except _UnprovenError as error:
                outcome = "failed"
                await self._deployer.fail(release, error.reasons, error.checks)
            self.current = None
            BUILDS.labels(outcome).inc()
            BUILD_SECONDS.observe(time.monotonic() - started)

    async def _make(self, release: Release) -> None:
        self._go_on(release, 0)
        room = free_room(self._shop.settings.data_dir)
        folder = await asyncio.to_thread(resolve_model, release.model)  # it may have to be fetched
        if lack := missing_room(
            room, rows=len(self._sync.catalog.products), dim=release.dim, model_bytes=model_bytes(folder)
        ):
            raise _UnprovenError([lack], [])
        encoder = await self._shop.models.load(release.model, release.model_sha256)
        if encoder.dim != release.dim:
            raise ModelError(
                f"model {release.model} has dimension {encoder.dim}, the candidate says {release.dim}"
            )
        products = dict(self._sync.catalog.products)
        release = release.model_copy(
            update={
                "catalog_offsets": dict(self._sync.catalog.offsets),
                "row_count": len(products),
                "id_set_sha256": id_set_sha256(products),
            }
        )
        self._sync.watch(release)  # no await since the copy: every later change is gathered
        brought = await fill(self._shop, release, products, progress=lambda rows: self._go_on(release, rows))
        settings, pointer = self._shop.settings, self._deployer.ledger.state.pointer
        evidence = await gather(self._shop, release, products, pointer.live if pointer else None)
        checks = verify(
            evidence,
            generation=release.generation,
            dim=release.dim,
            min_recall=settings.min_recall,
            max_latency_ratio=settings.max_latency_ratio,
        )
        log.info(
            "verified",
            generation=release.generation,
            failed=failures(checks),
            to_catch_up=self._sync.behind(release),
        )
        if reasons := failures(checks):
            raise _UnprovenError(reasons, checks)
        self._shop.models.remember(release.model_sha256, brought)
        release = await self._deployer.verified(release)
        await self._sync.catch_up(release, self._shop.lane)
        log.info("caught up", generation=release.generation)
        if reason := await self._deployer.publish(release, checks):
            raise _UnprovenError([reason], checks)

    def _go_on(self, release: Release, rows: int) -> None:
        self.rows = rows
        if not self._deployer.wanted(release):
            raise AbortedError(f"generation {release.generation} was aborted")


class _UnprovenError(Exception):
    def __init__(self, reasons: list[str], checks: list[Check]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons
        self.checks = checks

"""Carry every change of the catalogue into every generation that holds a collection.

Each with its own model's vector. What differs is ids per generation (``dirty``), the longest waiting first;
writing takes ids out and writes what the catalogue says now. So repeated changes fold into one, deletions
wait for no encoding, and a restart only has to compute them again. A collection that is being built only
gathers its ids until it is handed over: every change is either in its snapshot or among them.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

import numpy as np
import numpy.typing as npt
import structlog

from broker.errors import BrokerError
from broker.reading import Reader
from broker.records import Record
from indexer.catalog import CatalogState, out_of_step
from indexer.lanes import Lane
from indexer.metrics import (
    CATALOG_PRODUCTS,
    CATALOG_STALE,
    CATALOG_UNREADABLE,
    CATALOG_WAITING,
    ROWS_DELETED,
    ROWS_REFUSED,
    ROWS_WRITTEN,
)
from indexer.models import Models
from indexer.rows_there import versions_there
from retrieval.document import COMPOSITION, document_of
from retrieval.encoder import EncodingError
from retrieval.index import Row, VectorStore
from retrieval.naming import stamp_of
from retrieval.rows import RowError
from schemas.products import CatalogProduct
from schemas.releases import Release

log = structlog.get_logger(__name__)

Vector = npt.NDArray[np.float32]
CHUNK = 32
PAGE = 1000
PASSES = 2
FOLD_ROWS = 4000
REFUSED_KNOWN = 100
CHECK_S = 30.0
AWAY = timedelta(days=1)  # well below delete.retention.ms of compacted topics (broker/topics.py)


class AwayTooLongError(RuntimeError):
    """Deletions may have been missed."""


@dataclass
class Target:
    """A collection that must follow the catalogue: of a full generation and of all its refreshes.

    ``adopted``: the serving lane writes it, else its builder does.
    """

    release: Release
    dirty: dict[str, None] = field(default_factory=dict)
    adopted: bool = False
    unflushed: int = 0


class CatalogSync:
    """The catalogue in memory and the collections that follow it. ``lane`` writes all adopted collections.

    ``refused`` says why of the products that no collection took, the newest last.
    """

    def __init__(self, store: VectorStore, lane: Lane, models: Models) -> None:
        self.catalog = CatalogState()
        self.changed_at = 0.0
        self.refused: dict[str, str] = {}
        self._store = store
        self._lane = lane
        self._models = models
        self._targets: dict[int, Target] = {}
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._gone = asyncio.Event()
        self._erasing = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """How many changed products wait, in the generation where most do."""
        return max((len(t.dirty) for t in self._targets.values() if t.adopted), default=0)

    def take(self, records: Iterable[Record]) -> None:
        """Apply records to the catalogue, and mark what changed in every collection."""
        changed = self.catalog.apply(records)
        CATALOG_STALE.set(self.catalog.stale)
        CATALOG_UNREADABLE.set(self.catalog.unreadable)
        if changed:
            self.changed_at = asyncio.get_running_loop().time()
            CATALOG_PRODUCTS.set(len(self.catalog.products))
            for target in self._targets.values():
                target.dirty |= dict.fromkeys(sorted(changed))
            self._wake()

    async def follow(self, reader: Reader) -> None:
        """Take in what arrives, for ever.

        Raises ``AwayTooLongError`` after ``AWAY`` without the broker or asleep: tombstones may be gone by
        then, and only the full pass of a start finds what they have deleted.
        """
        heard_at, next_check = time.time(), 0.0
        while True:
            self.take(await reader.poll(timeout_ms=100))
            if time.time() >= next_check:
                if time.time() - heard_at > AWAY.total_seconds():
                    raise AwayTooLongError(
                        f"the catalogue was not read for {time.time() - heard_at:.0f} s: a start compares "
                        "all of it"
                    )
                with suppress(BrokerError):
                    await reader.end_offsets()
                    heard_at = time.time()
                next_check = time.time() + CHECK_S

    async def write(self) -> None:
        """Bring the adopted collections up to date, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self.waiting:
                async with self._writing:
                    await self._step(self._adopted(), self._lane, "sync")
                    if not self.waiting:
                        await self._fold(self._adopted())
                CATALOG_WAITING.set(self.waiting)

    async def erase(self) -> None:
        """Delete from the adopted collections what is gone, for ever.

        Beside ``write``, so that no deletion waits for encoding.
        """
        while True:
            await self._gone.wait()
            self._gone.clear()
            async with self._erasing:
                await self._erase(self._adopted(), self._lane)

    def watch(self, release: Release) -> None:
        """Gather changes for a collection that is being built, from this moment on."""
        self._targets[stamp_of(release)] = Target(release)

    def behind(self, release: Release) -> int:
        """Return how many changed products a collection does not hold yet."""
        return len(self._targets[stamp_of(release)].dirty)

    async def catch_up(self, release: Release, lane: Lane) -> None:
        """Apply what was gathered in the builder's lane, then hand the collection over.

        Where changes come faster than they are encoded there is always something left: then what waited
        before is applied, and the rest follows as it does in the generation that serves. No deletion is left
        in any case.
        """
        target = self._targets[stamp_of(release)]
        for _ in range(PASSES * (1 + len(target.dirty) // CHUNK)):
            if not target.dirty:
                break
            await self._step([target], lane, "catch_up")
        while any(i not in self.catalog.products for i in target.dirty):
            await self._erase([target], lane)
        target.adopted = True  # no await since no deletion was left: none can fall between
        self._wake()

    async def remove(self, release: Release) -> None:
        """Stop following with a collection. Returns when no write to it is under way."""
        async with self._writing, self._erasing:
            self._targets.pop(stamp_of(release), None)

    async def ensure(self, release: Release) -> None:
        """Take up a collection at a start, before anything else touches it.

        Load it, flush it, and mark what differs. ``write`` and ``erase`` then repair rows that are missing,
        old, surplus or stamped by another generation. A collection that is gone is built again here. One that
        is followed already, by another of its releases, is left as it is.
        """
        if stamp_of(release) in self._targets:
            return
        name, target = release.collection, Target(release, adopted=True)
        if await self._lane(self._store.exists, name):
            await self._lane(self._store.load, name)
            await self._lane(self._store.flush, name)
            target.dirty = dict.fromkeys(
                out_of_step(self.catalog.products, await versions_there(self._store, self._lane, release))
            )
            log.info("collection opened", collection=name, out_of_step=len(target.dirty))
            if release.composition != COMPOSITION:
                log.warning(
                    "documents of this generation were composed otherwise than those of products that change "
                    "now: train anew",
                    generation=release.generation,
                    composition=release.composition,
                    now=COMPOSITION,
                )
        else:
            log.warning(
                "collection is missing and is built again",
                collection=name,
                products=len(self.catalog.products),
            )
            await self._lane(self._store.create, name, release.dim)
            # Before the rows: a crash in between leaves nothing half made
            for step in (self._store.build_index, self._store.load):
                await self._lane(step, name)
            target.dirty = dict.fromkeys(self.catalog.products)
            while target.dirty:
                await self._step([target], self._lane, "repair")
            await self._lane(self._store.flush, name)
        self._targets[stamp_of(release)] = target
        self._wake()

    def _wake(self) -> None:
        CATALOG_WAITING.set(self.waiting)
        self._changed.set()
        if any(i not in self.catalog.products for target in self._adopted() for i in target.dirty):
            self._gone.set()

    def _adopted(self) -> list[Target]:
        return [t for t in self._targets.values() if t.adopted]

    async def _erase(self, targets: Sequence[Target], lane: Lane) -> None:
        for target in targets:
            # Page by page, each looked up when it is sent: what is back in the catalogue by then must not be
            # deleted after its write.
            while gone := list(islice((i for i in target.dirty if i not in self.catalog.products), PAGE)):
                _take_out(target, gone)
                await lane(self._store.delete, target.release.collection, gone)
                ROWS_DELETED.inc(len(gone))

    async def _step(self, targets: Sequence[Target], lane: Lane, cause: str) -> None:
        """Delete all that is gone, then write one chunk of products."""
        await self._erase(targets, lane)
        products = self.catalog.products
        most = max(targets, key=lambda t: len(t.dirty), default=None)
        if most is None or not most.dirty:
            return
        chunk = {i: products[i] for i in islice(most.dirty, CHUNK) if i in products}
        due = [(t.release, t, [i for i in chunk if i in t.dirty]) for t in targets]
        for _, target, ids in due:
            _take_out(target, ids)
        by_model: dict[str, Mapping[str, Vector]] = {}
        for sha256 in {release.model_sha256 for release, _, ids in due if ids}:
            by_model[sha256] = await self._encoded(sha256, chunk)
        for release, target, ids in due:
            # What changed or went while it was encoded is dirty again, or deleted already: its old form must
            # not be written.
            vectors = by_model.get(release.model_sha256, {})
            rows = [
                Row.of(chunk[i], vectors[i], stamp_of(release))
                for i in ids
                if i in vectors and products.get(i) is chunk[i]
            ]
            target.unflushed += await self._written(lane, release.collection, rows, cause)

    async def _encoded(self, sha256: str, chunk: Mapping[str, CatalogProduct]) -> Mapping[str, Vector]:
        """Return the vectors of the products.

        One whose document the model cannot encode is put aside, the others go on.
        """
        try:
            vectors = await self._models.encode(sha256, [document_of(p) for p in chunk.values()])
            return dict(zip(chunk, vectors, strict=True))
        except EncodingError as error:
            if len(chunk) == 1:
                self._put_aside(next(iter(chunk)), error)
                return {}
            singly = [await self._encoded(sha256, {i: product}) for i, product in chunk.items()]
            return {i: vector for one in singly for i, vector in one.items()}

    async def _written(self, lane: Lane, collection: str, rows: Sequence[Row], cause: str) -> int:
        """Write rows; return how many. One that the index refuses is put aside, the others are written."""
        if not rows:
            return 0
        try:
            await lane(self._store.upsert, collection, rows)
        except RowError as error:
            if len(rows) == 1:
                self._put_aside(rows[0].product_id, error)
                return 0
            return sum([await self._written(lane, collection, [row], cause) for row in rows])
        ROWS_WRITTEN.labels(cause).inc(len(rows))
        return len(rows)

    def _put_aside(self, product_id: str, error: Exception) -> None:
        """The row that was there before stays, until the product changes again."""
        log.error("product does not fit the index, skipped", product_id=product_id[:80], problem=str(error))
        self.refused[product_id] = str(error)
        while len(self.refused) > REFUSED_KNOWN:
            self.refused.pop(next(iter(self.refused)))
        ROWS_REFUSED.inc()

    async def _fold(self, targets: Iterable[Target]) -> None:
        """Flush on Lite when many rows lie unflushed.

        Each costs every search 20 to 50 us, and a flush hides rows for a moment.
        """
        for target in targets:
            if self._store.backend == "lite" and target.unflushed >= FOLD_ROWS:
                await self._lane(self._store.flush, target.release.collection)
                target.unflushed = 0


def _take_out(target: Target, ids: Iterable[str]) -> None:
    for product_id in ids:
        target.dirty.pop(product_id, None)

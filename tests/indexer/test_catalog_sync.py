"""Following the catalogue while it changes faster than it can be encoded.

A hand-over ends, nothing starves, deletions come first.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from structlog.testing import capture_logs

from broker.records import Record
from indexer.catalog_sync import CHUNK, CatalogSync
from indexer.lanes import Lane
from retrieval.document import COMPOSITION
from retrieval.index import Row
from schemas.products import CatalogProduct
from tests.releases import a_release


class MemoryStore:
    """A store that keeps rows in memory, by collection."""

    backend = "server"

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Row]] = {}

    def upsert(self, name: str, rows: Sequence[Row]) -> None:
        self.rows.setdefault(name, {}).update({r.product_id: r for r in rows})

    def delete(self, name: str, ids: Sequence[str]) -> None:
        for product_id in ids:
            self.rows.setdefault(name, {}).pop(product_id, None)

    def exists(self, _: str) -> bool:
        return True

    def load(self, _: str) -> None: ...

    def flush(self, _: str) -> None: ...

    def ids(self, name: str) -> list[str]:
        return list(self.rows.get(name, {}))


class BusyModels:
    """Encodes at once; but each time, the world has changed meanwhile."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], None] = lambda: None

    async def encode(self, _: str, texts: Sequence[str]) -> np.ndarray:
        self.meanwhile()
        return np.tile(np.array([1, 0, 0, 0], dtype=np.float32), (len(texts), 1))


class World:
    def __init__(self, lane: Lane) -> None:
        self.store, self.models, self.lane = MemoryStore(), BusyModels(), lane
        self.sync = CatalogSync(self.store, lane, self.models)  # type: ignore[arg-type]
        self.release = a_release(1)
        self.offset = 0

    def change(self, *numbers: int) -> None:
        self._take(
            *(
                (
                    f"p{n:03d}",
                    CatalogProduct(product_id=f"p{n:03d}", title="t", version=self.offset).to_json(),
                )
                for n in numbers
            )
        )

    def delete(self, *numbers: int) -> None:
        self._take(*((f"p{n:03d}", None) for n in numbers))

    def _take(self, *changes: tuple[str, bytes | None]) -> None:
        records = []
        for key, value in changes:
            self.offset += 1
            records.append(Record("catalog", 0, self.offset, 0, key.encode(), value))
        self.sync.take(records)

    @property
    def held(self) -> dict[str, Row]:
        return self.store.rows.get(self.release.collection, {})


@pytest.fixture
def world():
    with Lane("toy") as lane:
        yield World(lane)


async def test_a_collection_is_handed_over_though_the_catalogue_never_rests(world: World):
    everything = range(3 * CHUNK)
    world.change(*everything)
    world.sync.watch(world.release)
    world.change(*everything)
    world.models.meanwhile = lambda: world.change(*everything)
    await world.sync.catch_up(world.release, world.lane)
    assert world.held.keys() <= {f"p{n:03d}" for n in everything}


async def test_what_changes_all_the_time_does_not_hold_back_what_changed_once(world: World):
    world.change(*range(4 * CHUNK))
    world.sync.watch(world.release)
    world.change(*range(4 * CHUNK))
    world.models.meanwhile = lambda: world.change(*range(CHUNK))
    await world.sync.catch_up(world.release, world.lane)
    assert {f"p{n:03d}" for n in range(CHUNK, 4 * CHUNK)} <= world.held.keys()


async def test_nothing_that_was_deleted_is_left_when_a_collection_is_handed_over(world: World):
    world.change(*range(4 * CHUNK))
    world.sync.watch(world.release)
    world.change(*range(4 * CHUNK))
    going = iter(range(4 * CHUNK))

    def meanwhile() -> None:
        world.delete(next(going), next(going))

    world.models.meanwhile = meanwhile
    await world.sync.catch_up(world.release, world.lane)
    assert world.held.keys() <= world.sync.catalog.products.keys()


async def test_without_further_changes_nothing_is_left_to_catch_up(world: World):
    world.change(*range(2 * CHUNK + 1))
    world.sync.watch(world.release)
    world.change(*range(2 * CHUNK + 1))
    await world.sync.catch_up(world.release, world.lane)
    assert world.sync.behind(world.release) == 0
    assert len(world.held) == 2 * CHUNK + 1


@pytest.mark.parametrize(("composition", "warned"), [(COMPOSITION, 0), (COMPOSITION + 1, 1)])
async def test_a_collection_of_documents_composed_otherwise_is_told_of(
    world: World, composition: int, warned: int
):
    with capture_logs() as said:
        await world.sync.ensure(a_release(1, composition=composition))
    assert sum("composed otherwise" in one["event"] for one in said) == warned

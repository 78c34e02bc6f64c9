"""The contract of ``VectorStore``, on a real Milvus."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from embedded.milvus import EmbeddedMilvus
from retrieval.index import Row, StoreError, VectorStore, collection_name
from retrieval.rows import RowError
from schemas.search import Filter

pytestmark = pytest.mark.broker
DIM = 16
CATEGORIES = ["Electronics", "Electronics > Cables", "Electronics2"]
BRANDS = ["Sony", 'A "q" \\x', "Müller"]


@pytest.fixture(scope="module", params=["milvus", "milvus_server"])
def store(request: pytest.FixtureRequest) -> Iterator[VectorStore]:
    with VectorStore(request.getfixturevalue(request.param)) as opened:
        yield opened


@pytest.fixture
def name(store: VectorStore) -> Iterator[str]:
    made = collection_name(f"t{uuid.uuid4().hex[:8]}", 1)
    yield made
    store.drop(made)


def unit(n: int, seed: int = 0) -> npt.NDArray[np.float32]:
    raw = np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def catalogue(n: int = 60, generation: int = 1) -> list[Row]:
    return [
        Row(f"p{i:03d}", v, generation, f"title {i}", BRANDS[i % 3], CATEGORIES[i % 3], None if i % 5 == 0 else i * 1.5, "in_stock", i)
        for i, v in enumerate(unit(n))
    ]


def cheap_sony(row: Row) -> bool:
    return row.brand == "Sony" and row.price is not None and row.price <= 30


def fill(store: VectorStore, name: str, rows: Sequence[Row]) -> None:
    store.create(name, DIM)
    store.upsert(name, rows)
    store.flush(name)
    store.build_index(name)
    store.load(name)


def test_every_row_finds_itself_first_with_score_one(store: VectorStore, name: str):
    rows = catalogue()
    fill(store, name, rows)
    found = store.search(name, np.stack([r.vector for r in rows]), 3)
    assert [hits[0].product_id for hits in found] == [r.product_id for r in rows]
    assert all(abs(hits[0].score - 1) < 1e-5 and hits[0].generation == 1 and len(hits) == 3 for hits in found)


def test_the_ten_nearest_are_those_of_an_exact_search(store: VectorStore, name: str):
    rows = catalogue(300)
    fill(store, name, rows)
    queries = unit(20, seed=9)
    exact = np.argsort(-(queries @ np.stack([r.vector for r in rows]).T), axis=1)[:, :10]
    assert [[h.product_id for h in hits] for hits in store.search(name, queries, 10)] == [[f"p{i:03d}" for i in row] for row in exact]


def test_rows_come_back_as_they_were_written(store: VectorStore, name: str):
    rows = catalogue(8)
    fill(store, name, rows)
    back = store.rows(name, ["p003", "nobody", "p001", "p003"])
    assert [r.product_id for r in back] == ["p003", "p001"]
    assert np.allclose(back[0].vector, rows[3].vector)
    for field in ("generation", "title", "brand", "category", "price", "availability", "version"):
        assert getattr(back[0], field) == getattr(rows[3], field)
    assert (store.count(name), store.ids(name), store.dim(name)) == (8, {r.product_id for r in rows}, DIM)


def test_ids_are_complete_beyond_one_page(store: VectorStore, name: str):
    rows = catalogue(2300)
    fill(store, name, rows)
    assert store.ids(name) == {r.product_id for r in rows}


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ([Filter(field="brand", value=BRANDS[1])], lambda r: r.brand == BRANDS[1]),
        ([Filter(field="brand", op="ne", value="Müller")], lambda r: r.brand != "Müller"),
        ([Filter(field="category", value="Electronics")], lambda r: r.category != "Electronics2"),
        ([Filter(field="category", op="ne", value="Electronics")], lambda r: r.category == "Electronics2"),
        ([Filter(field="category", op="in", value=["Electronics > Cables", "Nowhere"])], lambda r: r.category == "Electronics > Cables"),
        ([Filter(field="price", op="ne", value=4.5)], lambda r: r.price is not None and r.price != 4.5),
        ([Filter(field="price", op="lte", value=30.0), Filter(field="brand", value="Sony")], cheap_sony),
        ([Filter(field="product_id", op="in", value=["p001", "p002", "zz"])], lambda r: r.product_id in {"p001", "p002"}),
        ([Filter(field="brand", value='" or price > 0 or brand == "')], lambda _: False),
    ],
)  # fmt: skip
def test_a_filter_keeps_exactly_what_it_says(store: VectorStore, name: str, filters: list[Filter], wanted: Callable[[Row], bool]):
    rows = catalogue()
    fill(store, name, rows)
    (found,) = store.search(name, rows[0].vector[None, :], len(rows), filters=filters)
    assert {h.product_id for h in found} == {r.product_id for r in rows if wanted(r)}


def test_a_write_replaces_the_row_and_a_delete_is_seen_at_once(store: VectorStore, name: str):
    rows = catalogue(20)
    fill(store, name, rows)
    store.upsert(name, [Row("p000", rows[1].vector, 1, "changed", version=99)])
    store.delete(name, ["p001", "never there"])
    (found,) = store.search(name, rows[1].vector[None, :], 1)
    assert (found[0].product_id, found[0].fields["title"], found[0].fields["brand"]) == ("p000", "changed", "")
    assert "p001" not in store.ids(name)


def test_bad_rows_and_bad_queries_never_reach_the_index(store: VectorStore, name: str):
    fill(store, name, catalogue(5))
    poison = Row("px", np.full(DIM, np.nan, dtype=np.float32), 1, "t")
    with pytest.raises(RowError):
        store.upsert(name, [*catalogue(5), poison])
    with pytest.raises(RowError):
        store.search(name, np.ones((1, DIM + 1), dtype=np.float32), 3)
    assert store.count(name) == 5


def test_no_queries_give_no_answers(store: VectorStore, name: str):
    fill(store, name, catalogue(5))
    assert store.search(name, np.zeros((0, DIM), dtype=np.float32), 3) == []


def test_a_collection_that_was_released_is_loaded_on_demand(store: VectorStore, name: str):
    rows = catalogue(5)
    fill(store, name, rows)
    store._client.release_collection(name)
    assert not store.loaded(name)
    assert store.search(name, rows[2].vector[None, :], 1)[0][0].product_id == "p002"
    assert store.loaded(name)


def test_a_collection_is_never_created_twice(store: VectorStore, name: str):
    store.create(name, DIM)
    with pytest.raises(StoreError, match="never reused"):
        store.create(name, DIM)


def test_a_missing_collection_is_said_to_be_missing(store: VectorStore):
    with pytest.raises(StoreError) as caught:
        store.search("nobody_g000001", unit(1), 3)
    assert (caught.value.missing, caught.value.retryable) == (True, False)
    store.drop("nobody_g000001")


def test_what_an_alias_points_to_is_not_dropped_and_an_alias_neither(store: VectorStore, name: str):
    alias = name.replace("_g000001", "_live")
    other = name.replace("_g000001", "_g000002")
    fill(store, name, catalogue(3))
    fill(store, other, catalogue(3))
    assert store.alias_target(alias) is None
    store.set_alias(alias, name)
    for refused in (name, alias):
        with pytest.raises(StoreError, match="not dropped"):
            store.drop(refused)
    store.set_alias(alias, other)
    assert store.alias_target(alias) == other
    store.drop(name)
    assert (store.exists(name), store.exists(other), other in store.collections()) == (False, True, True)
    store._client.drop_alias(alias)
    store.drop(other)


def test_a_server_that_is_not_there_is_an_error_after_the_deadline():
    with pytest.raises(StoreError, match="no Milvus at"):
        VectorStore("http://127.0.0.1:1", deadline_s=0.2)


def test_collections_come_back_after_the_server_was_restarted(tmp_path: Path):
    name = collection_name("restarted", 1)
    rows = catalogue(30)
    server = EmbeddedMilvus(tmp_path)
    with server, VectorStore(server.address) as store:
        fill(store, name, rows)
    with server, VectorStore(server.address) as store:
        found = store.search(name, np.stack([r.vector for r in rows]), 1)
        assert [hits[0].product_id for hits in found] == [r.product_id for r in rows]

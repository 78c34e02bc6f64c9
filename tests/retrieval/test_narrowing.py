"""Conditions on attributes, of which the index has no column: who is found is who an exact search finds."""

import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from retrieval import narrowing
from retrieval.catalog_traits import CatalogTraits
from retrieval.filters import meets, parsed
from retrieval.index import Row, StoreError, VectorStore, collection_name
from retrieval.traits import Traits
from retrieval.word_schema import WordDocument
from retrieval.words import WordIndex
from schemas.connections import MilvusConnection
from schemas.search import Filter
from tests.retrieval.small_index import catalogue, fill, unit

pytestmark = pytest.mark.broker
BACKENDS = {"lite": "milvus", "server": "milvus_server"}
SIZE = 600
COLOURS = ["Red", "RED ", "blue", "dark\u00a0green"]


@pytest.fixture(scope="module", params=BACKENDS)
def store(request: pytest.FixtureRequest) -> Iterator[VectorStore]:
    with VectorStore(MilvusConnection(milvus=request.getfixturevalue(BACKENDS[request.param]))) as opened:
        yield opened


@pytest.fixture(scope="module")
def name(store: VectorStore) -> Iterator[str]:
    made = collection_name(f"t{uuid.uuid4().hex[:8]}", 1)
    fill(store, made, ROWS)
    yield made
    store.drop(made)


ROWS: list[Row] = catalogue(SIZE)
TRAITS = {
    row.product_id: Traits({"colour": COLOURS[n % 4], "rating": n / 100} if n % 10 else {})
    for n, row in enumerate(ROWS)
}


@pytest.fixture(scope="module")
def traits() -> CatalogTraits:
    words = WordIndex("english")
    words.change(
        WordDocument(r.product_id, r.title, r.brand, r.category, r.availability, r.price, r.version, (), own)
        for r, own in zip(ROWS, TRAITS.values(), strict=True)
    )
    return CatalogTraits(words)


def wanted(query: np.ndarray, filters: list[Filter], k: int) -> list[str]:
    fields = {r.product_id: {"brand": r.brand, "category": r.category, "price": r.price} for r in ROWS}
    met = [
        r for r in ROWS if meets(parsed(filters), r.product_id, fields[r.product_id], TRAITS[r.product_id])
    ]
    return [r.product_id for r in sorted(met, key=lambda r: -float(r.vector @ query))[:k]]


CASES = {
    "few": [Filter(field="attributes.rating", op="gte", value=5.9)],
    "a quarter": [Filter(field="attributes.Colour", value="Dark green")],
    "half": [Filter(field="attributes.colour", value="red")],
    "most": [Filter(field="attributes.colour", op="ne", value="blue")],
    "those without": [Filter(field="attributes.colour", op="exists", value=False)],
    "with a column of the index": [
        Filter(field="brand", value="Sony"),
        Filter(field="attributes.colour", op="in", value=["blue", "RED"]),
        Filter(field="price", op="lt", value=600.0),
    ],
    "a column in another case": [
        Filter(field="brand", op="in", value=["sOnY", "nobody's"]),
        Filter(field="attributes.colour", op="ne", value="blue"),
    ],
    "a column in another case alone": [Filter(field="brand", value="SONY")],
    "all but a column in another case": [Filter(field="brand", op="ne", value="SONY")],
    "nobody": [Filter(field="attributes.colour", value="pink")],
}


@pytest.mark.parametrize(
    ("named", "per_hit"),
    [(SIZE, SIZE), (narrowing.NAMED, narrowing.PER_HIT), (0, 0)],
    ids=["named", "either", "sieved"],
)
@pytest.mark.parametrize("case", CASES)
def test_the_nearest_that_meet_the_conditions_are_found_by_either_road(
    store: VectorStore,
    name: str,
    traits: CatalogTraits,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    named: int,
    per_hit: int,
):
    monkeypatch.setattr(narrowing, "NAMED", named)
    monkeypatch.setattr(narrowing, "PER_HIT", per_hit)
    queries = unit(5, seed=3)
    found = narrowing.nearest(store, name, traits, queries, 20, CASES[case], timeout_s=60.0)
    assert [[h.product_id for h in hits] for hits in found] == [wanted(q, CASES[case], 20) for q in queries]


def test_where_the_nearest_lack_what_is_asked_for_all_that_have_it_are_named(
    store: VectorStore, name: str, traits: CatalogTraits, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(narrowing, "NAMED", 10)
    monkeypatch.setattr(narrowing, "MOST", 100)
    query = ROWS[1].vector  # the worst case: who meets the condition lies furthest
    far = sorted(ROWS, key=lambda r: float(r.vector @ query))[:60]
    filters = [Filter(field="attributes.far", value=True)]
    words = WordIndex("english")
    words.change(WordDocument(r.product_id, "t", traits=Traits({"far": r in far})) for r in ROWS)
    (found,) = narrowing.nearest(store, name, CatalogTraits(words), query[None], 30, filters, timeout_s=60.0)
    assert {h.product_id for h in found} == {r.product_id for r in far[-30:]}


def test_before_the_catalogue_is_read_nothing_is_said_of_its_attributes(
    store: VectorStore, name: str, traits: CatalogTraits
):
    unread = WordIndex("english")
    unread.complete = False
    for nobody in (None, CatalogTraits(unread)):
        with pytest.raises(StoreError, match="still being read") as caught:
            narrowing.nearest(store, name, nobody, unit(1), 5, CASES["few"], timeout_s=60.0)
        assert caught.value.retryable
        plain = [Filter(field="brand", value="Sony")]
        assert narrowing.nearest(store, name, nobody, unit(1), 5, plain, timeout_s=60.0)[0]

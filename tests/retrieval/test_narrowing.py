"""Conditions on attributes, with columns in the index and without: found is who an exact search finds."""

import itertools
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval import narrowing
from retrieval.catalog_traits import CatalogTraits
from retrieval.filters import meets, parsed
from retrieval.index import Row, StoreError, VectorStore, collection_name
from retrieval.trait_columns import TAGS, held_of, number_columns
from retrieval.traits import Traits
from retrieval.word_schema import WordDocument
from retrieval.words import WordIndex
from schemas.connections import MilvusConnection
from schemas.search import Filter
from schemas.settings import SettingsError
from tests.retrieval.small_index import catalogue, fill, unit

pytestmark = pytest.mark.broker
# A backend, its fixture, and the attributes of which its collections have columns
BACKENDS = {
    "lite": ("milvus", ""),
    "server": ("milvus_server", ""),
    "columns": ("milvus_server", "rating, Colour"),
    "one column": ("milvus_server", "attributes.COLOUR"),
}
SEEN_S = 120.0
SIZE = 600
COLOURS = ["Red", "RED ", "blue", "dark\u00a0green"]


@pytest.fixture(scope="module", params=BACKENDS)
def store(request: pytest.FixtureRequest) -> Iterator[VectorStore]:
    fixture, attributes = BACKENDS[request.param]
    connection = MilvusConnection(milvus=request.getfixturevalue(fixture), milvus_attributes=attributes)
    with VectorStore(connection) as opened:
        yield opened


@pytest.fixture(scope="module")
def name(store: VectorStore) -> Iterator[str]:
    made = collection_name(f"t{uuid.uuid4().hex[:8]}", 1)
    fill(store, made, [replace(row, traits=TRAITS[row.product_id]) for row in ROWS])
    yield made
    store.drop(made)


ROWS: list[Row] = catalogue(SIZE)
TRAITS = {
    row.product_id: Traits({"colour": COLOURS[n % 4], "rating": n / 100} if n % 10 else {})
    for n, row in enumerate(ROWS)
}


@pytest.fixture(scope="module")
def traits() -> CatalogTraits:
    return catalogue_of(TRAITS)


def catalogue_of(traits: Mapping[str, Traits]) -> CatalogTraits:
    words = WordIndex("english")
    words.change(
        WordDocument(r.product_id, r.title, r.brand, r.category, r.availability, r.price, r.version, (), own)
        for r, own in zip(ROWS[: len(traits)], traits.values(), strict=True)
    )
    return CatalogTraits(words)


def wanted(
    query: np.ndarray, filters: list[Filter], k: int, traits: Mapping[str, Traits] = TRAITS
) -> list[str]:
    fields = {r.product_id: {"brand": r.brand, "category": r.category, "price": r.price} for r in ROWS}
    met = [
        r for r in ROWS if meets(parsed(filters), r.product_id, fields[r.product_id], traits[r.product_id])
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
    asked = [Filter(field="attributes.material", op="exists", value=False)]
    for nobody in (None, CatalogTraits(unread)):
        with pytest.raises(StoreError, match="still being read") as caught:
            narrowing.nearest(store, name, nobody, unit(1), 5, asked, timeout_s=60.0)
        assert caught.value.retryable
        plain = [Filter(field="brand", value="Sony")]
        assert narrowing.nearest(store, name, nobody, unit(1), 5, plain, timeout_s=60.0)[0]


# What shops write, several of which are one: texts in any case, numbers as texts, the widest number
VALUES = ["Red", "RED ", "dark\u00a0green", "007", 42, "42.0", 42.5, -3, 1e300, sys.float_info.max, True, " "]
ODD = {
    row.product_id: Traits(
        {
            name: value if n % 3 else [str(value), "red", "41"]
            for i, name in enumerate(("Colour", "SIZE", "material"))
            if (value := VALUES[(n * (i + 1) + n // 7) % len(VALUES)]) is not None and (n + i) % 5
        },
        f"g{n % 40}" if n % 4 else None,
    )
    for n, row in enumerate(ROWS)
}
LIMITS = [*(v for v in VALUES if isinstance(v, int | float) and v is not True), -sys.float_info.max, "42"]
ONE = st.one_of(
    st.builds(
        Filter,
        field=st.sampled_from(["attributes.colour", "attributes.Size", "attributes.material"]),
        op=st.sampled_from(["eq", "ne"]),
        value=st.sampled_from([v for v in VALUES if v != " "]),
    ),
    st.builds(
        Filter,
        field=st.sampled_from(["attributes.colour", "attributes.size", "attributes.material"]),
        op=st.just("in"),
        value=st.lists(st.sampled_from(["red", 42, "nobody's", True, -3.0]), min_size=1, max_size=3),
    ),
    st.builds(
        Filter,
        field=st.sampled_from(["attributes.colour", "attributes. SIZE", "attributes.material"]),
        op=st.sampled_from(["lt", "lte", "gt", "gte"]),
        value=st.sampled_from(LIMITS),
    ),
    st.builds(
        Filter,
        field=st.sampled_from(["attributes.colour", "attributes.size", "group_id", "brand", "price"]),
        op=st.just("exists"),
        value=st.booleans(),
    ),
    st.just(Filter(field="brand", value="SONY")),
    st.just(Filter(field="price", op="lt", value=500.0)),
    st.builds(Filter, field=st.just("group_id"), op=st.sampled_from(["eq", "ne"]), value=st.just("g7")),
)


@pytest.fixture(scope="module")
def ways(milvus_server: str) -> Iterator[list[tuple[VectorStore, str]]]:
    """The same products in two collections, without and with columns of two of three attributes."""
    with (
        VectorStore(MilvusConnection(milvus=milvus_server)) as plain,
        VectorStore(MilvusConnection(milvus=milvus_server, milvus_attributes="colour,size")) as columned,
    ):
        made = [(one, collection_name(f"t{uuid.uuid4().hex[:8]}", 1)) for one in (plain, columned)]
        for one, own in made:
            fill(one, own, [replace(row, traits=ODD[row.product_id]) for row in ROWS])
        yield made
        for one, own in made:
            one.drop(own)


def test_whatever_is_asked_the_same_products_are_found_with_columns_and_without(
    ways: list[tuple[VectorStore, str]],
) -> None:
    catalogued, query = catalogue_of(ODD), unit(1, seed=4)

    @settings(max_examples=150)
    @given(st.lists(ONE, min_size=1, max_size=4))
    def holds(filters: list[Filter]) -> None:
        exact = wanted(query[0], filters, 20, ODD)
        for store, name in ways:
            (found,) = narrowing.nearest(store, name, catalogued, query, 20, filters, timeout_s=60.0)
            assert [h.product_id for h in found] == exact, store.held(name)

    holds()


def test_a_collection_has_the_columns_it_was_made_with_and_is_written_by_whoever_comes_later(
    ways: list[tuple[VectorStore, str]],
) -> None:
    """A product is found by what it says now, before the catalogue is read, too."""
    (plain, _), (columned, name) = ways
    colour, size = held_of(["colour"]), held_of(["size"])
    with VectorStore(MilvusConnection(milvus=plain._client._config.uri)) as later:
        assert later.held(name) == columned.held(name) == colour | size
        assert not later.held(ways[0][1])
        later.upsert(
            name, [replace(ROWS[1], product_id="new", traits=Traits({"colour": "Mauve", "size": 9}))]
        )
        asked = [
            Filter(field="attributes.colour", value="mauve"),
            Filter(field="attributes.size", op="gt", value=8),
        ]
        end = time.monotonic() + SEEN_S
        while time.monotonic() < end:
            (found,) = narrowing.nearest(later, name, None, unit(1), 5, asked, timeout_s=60.0)
            if found:
                break
        assert [h.product_id for h in found] == ["new"]
        later.delete(name, ["new"])
    kinds = {
        one: columned._client.describe_index(name, one) for one in (*number_columns(colour | size), TAGS)
    }
    assert {one: kind and kind["index_type"] for one, kind in kinds.items()} == {
        one: "STL_SORT" if one != TAGS else None for one in kinds
    }
    columned.build_index(name)


def test_a_searcher_follows_a_collection_that_was_built_again_with_other_columns(milvus_server: str) -> None:
    """As an indexer does it whose Milvus lost everything, after the setting was changed."""
    name, asked = collection_name(f"t{uuid.uuid4().hex[:8]}", 1), CASES["a quarter"]
    rows = [replace(row, traits=TRAITS[row.product_id]) for row in ROWS[:20]]
    traits, query = catalogue_of(dict(itertools.islice(TRAITS.items(), 20))), unit(1, seed=5)
    with (
        VectorStore(MilvusConnection(milvus=milvus_server)) as searcher,
        VectorStore(MilvusConnection(milvus=milvus_server, milvus_attributes="colour")) as before,
        VectorStore(MilvusConnection(milvus=milvus_server)) as after,
    ):
        answers = []
        for indexer in (before, after):
            fill(indexer, name, rows)
            with suppress(StoreError):  # once, where it thinks that the column is there
                narrowing.nearest(searcher, name, traits, query, 20, asked, timeout_s=60.0)
            (found,) = narrowing.nearest(searcher, name, traits, query, 20, asked, timeout_s=60.0)
            answers.append({h.product_id for h in found})
            assert bool(searcher.held(name)) == (indexer is before)
            indexer.drop(name)
        assert (
            answers[0]
            == answers[1]
            == {r.product_id for r in rows if r.traits.attributes.get("colour") == COLOURS[3]}
        )


def test_lite_refuses_columns_of_attributes_in_one_sentence(milvus: str) -> None:
    with pytest.raises(SettingsError, match="SEARCHLOOP_MILVUS_ATTRIBUTES is for a Milvus server"):
        VectorStore(MilvusConnection(milvus=milvus, milvus_attributes="colour"))

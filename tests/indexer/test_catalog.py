import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.records import Record
from indexer.catalog import CatalogState, out_of_step
from schemas.products import CatalogProduct


def put(product_id: str, version: int, offset: int = 0, **fields: object) -> Record:
    product = CatalogProduct(
        product_id=product_id, title=f"{product_id} {version}", version=version, **fields
    )
    return Record("catalog", 0, offset, 0, product_id.encode(), product.to_json())


def gone(product_id: str, offset: int = 0) -> Record:
    return Record("catalog", 0, offset, 0, product_id.encode(), None)


def test_a_change_is_reported_once_and_the_offset_moves() -> None:
    catalog = CatalogState()
    assert catalog.apply([put("a", 1, 4), put("b", 1, 5)]) == {"a", "b"}
    assert catalog.offsets == {0: 6}


def test_a_version_that_is_not_newer_is_stale() -> None:
    catalog = CatalogState()
    catalog.apply([put("a", 2)])
    assert catalog.apply([put("a", 1), put("a", 2)]) == set()
    assert catalog.products["a"].version == 2
    assert catalog.stale == 2


def test_a_product_that_was_deleted_may_be_created_again_at_any_version() -> None:
    catalog = CatalogState()
    catalog.apply([put("a", 7)])
    assert catalog.apply([gone("a")]) == {"a"}
    assert catalog.apply([put("a", 1)]) == {"a"}
    assert catalog.apply([put("a", 1)]) == set()
    assert out_of_step(catalog.products, {"a": 7}) == {"a"}, (
        "the row of its first life is not that of its second"
    )


@pytest.mark.parametrize(
    "bad",
    [
        Record("catalog", 0, 3, 0, None, None),
        Record("catalog", 0, 3, 0, b"a", b"[" * 100_000),
        Record("catalog", 0, 3, 0, b"a", b'{"product_id":"\\ud800","title":"t","version":1}'),
        Record("catalog", 0, 3, 0, b"a", b"\xff\xfe" * 500),
        put("9" * 2000, 1),
        put("a\x00", 1),
        put("a", 2**63),
        put("a", -1),
        Record("catalog", 0, 3, 0, b"a", b'{"product_id":"a","title":"t","version":1,"price":1e400}'),
    ],
    ids=["nothing", "deep", "surrogate", "bytes", "long id", "control", "version", "negative", "infinite"],
)
def test_what_no_index_can_hold_is_counted_with_its_reason_and_the_next_is_taken(bad: Record) -> None:
    """A product id of 2,000 digits ended the indexer at every start."""
    catalog = CatalogState()
    assert catalog.apply([bad, put("b", 1)]) == {"b"}
    if bad.value is not None:
        assert (catalog.unreadable, len(catalog.problems)) == (1, 1)
    assert catalog.products.keys() == {"b"}


def test_what_does_not_fit_the_contract_is_counted_and_skipped() -> None:
    catalog = CatalogState()
    bad = [
        Record("catalog", 0, 0, 0, b"x", b"{"),
        Record("catalog", 0, 1, 0, b"x", put("a", 1).value),
        put("a", 1, 2, price=-1.0),
    ]
    assert catalog.apply(bad) == set()
    assert catalog.unreadable == 3
    assert catalog.offsets == {0: 3}


@given(st.permutations([1, 2, 2, 3, 5, 5]))
def test_any_order_of_versions_ends_at_the_greatest(versions: list[int]) -> None:
    catalog = CatalogState()
    for version in versions:
        catalog.apply([put("a", version)])
    assert catalog.products["a"].version == 5


def test_rows_that_are_missing_old_or_surplus_are_out_of_step() -> None:
    catalog = CatalogState()
    catalog.apply([put("same", 1), put("old", 2), put("missing", 1)])
    assert out_of_step(catalog.products, {"same": 1, "old": 1, "surplus": 1}) == {"old", "missing", "surplus"}

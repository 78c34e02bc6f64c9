"""One rule says which record of a product is the newer one."""

import pytest

from schemas.products import CatalogProduct
from stream.versions import Held, numbered


def product(shop_version: int | None, place: tuple[int, int, int]) -> CatalogProduct:
    version = place[1] if shop_version is None else shop_version
    return CatalogProduct(product_id="p", title="t", version=version, shop_version=shop_version, place=place)


def told(records: list[tuple[int | None, tuple[int, int, int]]]) -> list[int | None]:
    """Return the version that each record gets in the catalogue, None for a stale one."""
    held: Held | None = None
    given: list[int | None] = []
    for shop_version, place in records:
        found = numbered(product(shop_version, place), held)
        given.append(None if found is None else found.version)
        held = held if found is None else Held(found.version, found.shop_version, found.place)
    return given


@pytest.mark.parametrize(
    ("records", "versions"),
    [
        ([(1, (0, 0, 10)), (3, (0, 1, 20)), (2, (0, 2, 30)), (3, (0, 3, 40))], [1, 3, None, None]),
        (
            [(None, (0, 5, 10)), (None, (0, 9, 20)), (None, (0, 5, 10)), (None, (0, 9, 20))],
            [5, 9, None, None],
        ),
        (
            [(7000, (0, 0, 10)), (None, (0, 1, 20)), (None, (0, 2, 30)), (None, (0, 1, 20))],
            [7000, 7001, 7002, None],
        ),
        ([(None, (0, 90, 10)), (1, (0, 91, 20)), (2, (0, 92, 30)), (1, (0, 93, 40))], [90, 91, 92, None]),
        ([(None, (0, 6, 10)), (None, (0, 0, 20)), (None, (0, 1, 30)), (None, (0, 1, 30))], [6, 7, 8, None]),
        ([(None, (0, 900, 10)), (None, (5, 0, 20)), (None, (5, 1, 30))], [900, 901, 902]),
    ],
    ids=[
        "versions",
        "places, and a batch that comes again",
        "a version once",
        "versions from now on",
        "a topic made anew",
        "more partitions",
    ],
)
def test_a_version_is_compared_with_a_version_and_else_the_later_record_holds(
    records: list[tuple[int | None, tuple[int, int, int]]], versions: list[int | None]
) -> None:
    assert told(records) == versions


def test_a_change_keeps_the_time_of_the_first_record_where_it_is_known() -> None:
    changed = product(2, (0, 9, 90)).model_copy(update={"first_seen_ms": 90})
    for held, first in ((None, 90), (Held(1, 1, (0, 3, 30), None, 30), 30), (Held(1, 1, (0, 3, 30)), None)):
        found = numbered(changed, held)
        assert found is not None
        assert found.first_seen_ms == first


def test_after_a_deletion_any_version_begins_anew() -> None:
    found = numbered(product(1, (0, 9, 90)), None)
    assert found is not None
    assert found.version == 1


@pytest.mark.parametrize("shop_version", [None, 1])
def test_what_an_earlier_release_wrote_has_no_place_and_is_replaced(shop_version: int | None) -> None:
    found = numbered(product(shop_version, (0, 3, 90)), Held(40))
    assert found is not None
    assert found.version == 41

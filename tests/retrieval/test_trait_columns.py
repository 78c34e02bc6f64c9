"""What of a product lies in columns of its attributes."""

import sys
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest
from pymilvus import MilvusException

from retrieval import index, narrowing
from retrieval.filters import FilterError, expression, in_index
from retrieval.trait_columns import (
    MOST_TAGS,
    NO_NUMBER,
    TAGS,
    columns_of,
    held_in,
    held_of,
    number_columns,
    tag_number,
)
from retrieval.traits import Traits, tag
from schemas.connections import MilvusConnection
from schemas.search import Filter

HELD = held_of(["Size"])
LEAST, MOST = number_columns(HELD)


def test_an_attribute_is_held_by_its_name_in_any_spelling_and_by_the_columns_of_a_collection() -> None:
    assert held_of([" SIZE"]) == held_of(["attributes.size"]) == HELD
    assert held_in(["product_id", "price", TAGS, LEAST, MOST]) == HELD
    assert not held_in(["product_id", "price"])


def test_of_an_attribute_lie_its_tags_and_its_least_and_greatest_number() -> None:
    found = columns_of(Traits({"size": ["41", "43", "wide", "42"], "SIZE ": 44.5, "colour": 1}), HELD)
    name = "attributes.size"
    assert set(found[TAGS]) == {
        tag_number(one) for one in (tag(name), *(tag(name, t) for t in ("41", "42", "43", "44.5", "wide")))
    }
    assert (found[LEAST], found[MOST]) == (41.0, 44.5)


def test_without_the_attribute_there_are_no_tags_and_numbers_that_no_range_reaches() -> None:
    assert columns_of(Traits({"colour": 1}), HELD) == {TAGS: [], LEAST: NO_NUMBER, MOST: -NO_NUMBER}
    assert columns_of(Traits({"size": 1}), held_of([])) == {}


def test_a_product_with_more_values_than_an_array_takes_keeps_the_attribute_and_the_first_ones() -> None:
    tags = columns_of(Traits({"size": [f"v{n}" for n in range(MOST_TAGS)]}), HELD)[TAGS]
    assert len(tags) == MOST_TAGS
    assert tag_number(tag("attributes.size")) == tags[0]
    assert tag_number(tag("attributes.size", "v4094")) == tags[-1]


def test_only_what_a_collection_holds_is_asked_of_it() -> None:
    """The catalogue is asked for a range to the widest number, at which products without one stand here."""
    assert in_index(Filter(field="brand", value="x"), HELD)
    assert in_index(Filter(field="attributes.SIZE", value="x"), HELD)
    assert in_index(Filter(field="attributes.size", op="lte", value=4), HELD)
    for limit in (sys.float_info.max, -sys.float_info.max):
        assert not in_index(Filter(field="attributes.size", op="lte", value=limit), HELD)
    for field in ("attributes.colour", "group_id"):
        asked = Filter(field=field, value="x")
        assert not in_index(asked, HELD)
        with pytest.raises(FilterError, match="no column"):
            expression([asked], HELD)


def test_nothing_that_is_asked_reaches_the_expression_but_as_a_number() -> None:
    hostile = '"] or price > 0 or tags in ["'
    filters = [
        Filter(field="attributes.size", op="in", value=[hostile, 4]),
        Filter(field="attributes.size", op="gte", value=-4.5),
        Filter(field="attributes.size", op="lt", value=1e22),
        Filter(field="attributes.size", op="exists", value=False),
    ]
    one, two, there = (tag_number(tag("attributes.size", t)) for t in (hostile, "4", ""))
    assert expression(filters, HELD) == (
        f"(array_contains_any(tags, [{one}, {two}])) and ({MOST} >= -4.5) and ({LEAST} < 1e+22) and "
        f"(not (array_contains_any(tags, [{there}])))"
    )


class BuiltAgain:
    """A client whose collection lost its columns after it was described; it refuses to search by them."""

    def __init__(self) -> None:
        self.described = 0

    def describe_collection(self, *_: object, **__: object) -> dict[str, Any]:
        self.described += 1
        columns = (LEAST, MOST, TAGS) if self.described == 1 else ()
        return {"fields": [{"name": "vector", "params": {"dim": 4}}, *({"name": c} for c in columns)]}

    def search(self, *_: object, _async: bool = False, **__: object) -> SimpleNamespace:
        return SimpleNamespace(result=self._refuse) if _async else self._refuse()

    @staticmethod
    def _refuse() -> NoReturn:
        raise MilvusException(code=1100, message="field tags not exist")


def test_of_two_searches_begun_before_a_collection_was_built_again_both_fail_as_the_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index, "_connect", lambda *_: (BuiltAgain(), "v2.6.16"))
    store = index.VectorStore(MilvusConnection(milvus="http://nowhere:19530"))
    asked, query = [Filter(field="attributes.size", value=9)], np.eye(1, 4, dtype=np.float32)
    begun = [narrowing.begin_nearest(store, "c", None, query, 5, asked, timeout_s=1.0) for _ in range(2)]
    for ended in begun:
        with pytest.raises(index.StoreError) as caught:
            ended()
        assert caught.value.retryable

"""One form for every spelling of an attribute, at index and at query; and what meets a condition on it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.catalog_traits import CatalogTraits
from retrieval.filters import FilterError, check, expression, meets, parsed
from retrieval.traits import Traits, number, spelling, tag, term
from retrieval.word_schema import WordDocument
from retrieval.words import WordIndex
from schemas.bounds import FILTER_CHARS
from schemas.search import Filter

HOSTILE = [
    '"', "'", "\\", '\\"', '") or (price > 0', "a','b", "%_{x}", "née", "日本語", "😀", "a.b", "a:eq:b",
    "n" * 900, "numbers.x:[* TO *]", "* TO *", "AND OR NOT", "\u202eabc", "attributes.x", "eq=b", "null\x01x",
]  # fmt: skip


def one(field: str, value: object, op: str = "eq") -> list[Filter]:
    return [Filter.model_validate({"field": field, "op": op, "value": value})]


def catalogue(*attributes: dict[str, object]) -> tuple[WordIndex, dict[str, Traits]]:
    traits = {f"p{n}": Traits(own) for n, own in enumerate(attributes)}  # type: ignore[arg-type]
    words = WordIndex("english")
    words.change(WordDocument(i, "mug", traits=own) for i, own in traits.items())
    return words, traits


def met(words: WordIndex, traits: dict[str, Traits], filters: list[Filter]) -> str:
    """Return who meets the filters: the words and Python must say the same."""
    conditions = parsed(filters)
    found = words.meeting(traits, filters)
    assert found == {i for i, own in traits.items() if meets(conditions, i, {}, own)}
    assert sorted(found) == sorted(CatalogTraits(words).meeting(filters))
    assert CatalogTraits(words).count(filters) == len(found)
    return "".join(sorted(i.removeprefix("p") for i in found))


SHOP = catalogue(
    {"Colour": "Dark\u00a0Red", "size": 42, "waterproof": True},
    {"colour": "dark red ", "Size": "42.0", "waterproof": "false", "fits": ["36", 38.5]},
    {"COLOUR": "blue", "size": 42.5, "waterproof": False, "fits": ["38", "one size"]},
    {"colour": ["Blue", "GREEN"], "size": "XL", "code": "007"},
    {},
    {"colour": " ", "code": 7, "big": 2**60, "huge": 10**400},
)


@pytest.mark.parametrize(
    ("field", "op", "value", "found"),
    [
        ("attributes.colour", "eq", "dark red", "01"),
        ("attributes.COLOUR", "eq", "DARK\u00a0 RED", "01"),
        ("attributes. colour\u00a0", "eq", "dark&nbsp;red", "01"),
        ("attributes.colour", "ne", "dark red", "2345"),
        ("attributes.colour", "in", ["blue", "dark red"], "0123"),
        ("attributes.colour", "eq", "green", "3"),
        ("attributes.colour", "exists", True, "0123"),
        ("attributes.colour", "exists", "false", "45"),
        ("attributes.size", "eq", 42, "01"),
        ("attributes.size", "eq", "42", "01"),
        ("attributes.size", "in", [42.5, "xl"], "23"),
        ("attributes.size", "gte", 42.5, "2"),
        ("attributes.size", "lt", "42.5", "01"),
        ("attributes.size", "gt", -1e308, "012"),
        ("attributes.size", "lte", 0, ""),
        ("attributes.fits", "lt", 37, "1"),
        ("attributes.fits", "gt", 38, "1"),
        ("attributes.fits", "eq", "38", "2"),
        ("attributes.waterproof", "eq", True, "0"),
        ("attributes.waterproof", "eq", "False", "12"),
        ("attributes.waterproof", "gte", 0, ""),
        ("attributes.code", "eq", 7, "5"),
        ("attributes.code", "eq", "007", "3"),
        ("attributes.big", "eq", str(2**60), "5"),
        ("attributes.huge", "exists", True, "5"),
        ("attributes.huge", "gte", 0, ""),
        ("attributes.colours", "eq", "blue", ""),
        ("attributes.colours", "ne", "blue", "012345"),
        ("group_id", "exists", True, ""),
    ],
)
def test_a_condition_on_an_attribute_holds_for_every_spelling_and_type(field, op, value, found):
    assert met(*SHOP, one(field, value, op)) == found


def test_a_group_is_named_as_it_is():
    words = WordIndex("english")
    traits = {i: Traits(group_id=group) for i, group in (("p0", "G-1"), ("p1", "g-1"), ("p2", None))}
    words.change(WordDocument(i, "mug", traits=own) for i, own in traits.items())
    assert met(words, traits, one("group_id", "G-1")) == "0"
    assert met(words, traits, one("group_id", "G-1", "ne")) == "12"
    assert met(words, traits, one("group_id", True, "exists")) == "01"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_and_values_are_found_as_themselves_and_nowhere_else(name: str):
    words, traits = catalogue({name: name}, {"colour": name}, {name: "other", "n": 5}, {"x" + name: name})
    found = met(words, traits, one("attributes." + name, name))
    assert found == "0"
    assert met(words, traits, one("attributes.colour", name)) == "1"
    assert met(words, traits, one("attributes." + name, True, "exists")) == "02"
    assert met(words, traits, one("attributes." + name, 0, "gt")) == ""


def test_a_value_of_ten_thousand_characters_is_found_by_its_whole_self():
    long = "x" * 10_000
    words, traits = catalogue({"a": long}, {"a": long + "y"}, {long: "b"})
    asked = Filter.model_construct(field="attributes.a", op="eq", value=long)
    assert met(words, traits, [asked]) == "0"
    for bad in ({"field": "attributes." + long, "value": "b"}, {"field": "attributes.a", "value": long}):
        with pytest.raises(ValueError, match=str(FILTER_CHARS)):
            Filter.model_validate(bad)


@pytest.mark.parametrize(
    ("field", "value", "op"),
    [
        ("attributes.size", "large", "lt"),
        ("attributes.size", "NaN", "lt"),
        ("attributes.size", "1e400", "gte"),
        ("attributes.size", "1_000", "gte"),
        ("attributes.size", ["1"], "lt"),
        ("attributes.size", True, "lt"),
        ("attributes.size", ["1"], "eq"),
        ("attributes.size", "1", "in"),
        ("attributes.size", [], "in"),
        ("attributes.size", "\u200b", "eq"),
        ("attributes.size", ["a", " "], "in"),
        ("attributes.size", "maybe", "exists"),
        ("attributes.size", 1, "exists"),
        ("attributes.\u200b", "a", "eq"),
        ("group_id", "a", "lt"),
        ("product_id", True, "exists"),
        ("brand", "a", "exists"),
        ("price", True, "lt"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused_and_named(field: str, value: object, op: str):
    with pytest.raises(FilterError, match=r"size|attribute|group_id|product_id|brand|price"):
        check(one(field, value, op))


@pytest.mark.parametrize("field", ["attributes.", "attributes", "title", "attribute.x", ""])
def test_what_is_no_field_is_no_filter(field: str):
    with pytest.raises(ValueError, match="field"):
        one(field, "x")


def test_the_index_is_never_asked_for_what_it_has_no_column_of():
    with pytest.raises(FilterError, match="no column"):
        expression(one("attributes.a", "b"))


SAID = st.one_of(
    st.sampled_from(["red", "RED ", "1", "1.0", "01", "-2.5", "x\u00a0y", "x y", "", "true"]),
    st.integers(-3, 3),
    st.sampled_from([1.0, -2.5, 1e300, 5e-324, -0.0, 10**400]),
    st.booleans(),
)
PRODUCTS = st.lists(
    st.dictionaries(
        st.sampled_from(["a", "A ", "b"]),
        SAID | st.lists(st.sampled_from(["red", "1", "2", ""]), max_size=3),
        max_size=3,
    ),
    min_size=1,
    max_size=6,
)
ASKED = st.builds(
    Filter,
    field=st.sampled_from(["attributes.a", "attributes.B"]),
    op=st.sampled_from(["eq", "ne"]),
    value=st.sampled_from(["Red", "1", "01", "x y", "true"]) | st.sampled_from([1.0, -2.5]) | st.booleans(),
) | st.builds(
    Filter,
    field=st.sampled_from(["attributes.a", "attributes.b"]),
    op=st.sampled_from(["lt", "lte", "gt", "gte"]),
    value=st.sampled_from([0.0, 1.0, -2.5, 5e-324, 1e300, -1e300]),
)


@given(PRODUCTS, st.lists(ASKED, min_size=1, max_size=3))
def test_the_words_and_a_rule_say_the_same_of_any_product(products, filters):
    met(*catalogue(*products), filters)


@given(st.text(max_size=30))
def test_a_spelling_is_settled_and_a_tag_tells_names_and_values_apart(text: str):
    assert spelling(spelling(text)) == spelling(text)
    assert term(text) == term(term(text))
    assert (number(text) is None) or term(text) == term(number(text) or 0.0)
    name = spelling(text)  # fields have their one form, which holds no control character
    said = {("a", name), ("a" + name, ""), (name, "a"), (name + "a", "")}
    assert len({tag(*one) for one in said}) == len(said)


def test_traits_come_back_as_they_were_sent_and_go_with_their_product():
    words, traits = catalogue({"a": "Red", "n": [1, "x"], "é": 2.5, "yes": True}, {})
    kept = CatalogTraits(words)
    assert {i: own.attributes for i, own in kept.of([*traits, "nobody"]).items()} == {
        i: own.attributes for i, own in traits.items()
    }
    assert (kept.has("attributes.A "), kept.has("attributes.b"), kept.of([])) == (True, False, {})
    words.change([WordDocument("p0", "mug", traits=Traits({"b": "x"}, "g", 5))])
    assert (kept.has("attributes.a"), kept.has("attributes.b")) == (False, True)
    assert kept.of(["p0"])["p0"] == Traits({"b": "x"}, "g", 5)
    words.change(gone=["p0"])
    assert (kept.has("attributes.b"), list(kept.of(["p0", "p1"]))) == (False, ["p1"])


def test_numbers_are_compared_to_the_last_bit():
    values = [float(np.nextafter(1.1, way)) for way in (-2, 2)] + [1.1]
    words, traits = catalogue(*({"n": value} for value in values))
    assert met(words, traits, one("attributes.n", 1.1, "gt")) == "1"
    assert met(words, traits, one("attributes.n", 1.1, "lt")) == "0"
    assert met(words, traits, one("attributes.n", 1.1, "lte")) == "02"

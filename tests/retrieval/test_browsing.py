"""Facets, groups and other orders over candidates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.browsing import facets, in_order, one_per_group
from retrieval.traits import Traits
from schemas.bounds import FACET_VALUES, FILTER_CHARS
from schemas.search import Facet, ScoredHit


def hit(number: int, **fields: object) -> ScoredHit:
    return ScoredHit(product_id=f"p{number}", rank=number + 1, score=1 - number / 1000, fields=fields)  # type: ignore[arg-type]


def counted(facet: Facet) -> list[tuple[object, int]]:
    return [(one.value, one.count) for one in facet.counts]


def ids(hits: list[ScoredHit]) -> str:
    return "".join(h.product_id.removeprefix("p") for h in hits)


HITS = [
    hit(0, brand="Acme", category="Shoes > Run", price=10.0, availability=""),
    hit(1, brand="Bolt", category="Shoes", price=None, availability="in stock"),
    hit(2, brand="Acme", category="Shoes > Run", price=5.0, availability="in stock"),
    hit(3, brand="", category="", price=10.0, availability="in stock"),
]
TRAITS = {
    "p0": Traits({"Colour": "Dark Red", "size": 42, "fits": ["a", "B"]}, "g1", 5),
    "p1": Traits({"colour": "dark\u00a0red", "size": "42", "new": True}, "g1", 9),
    "p2": Traits({"COLOUR": "Dark Red", "size": 42.5, "fits": ["b"]}, "g2"),
}


def test_values_are_counted_in_any_spelling_and_shown_in_the_usual_one():
    found = facets(
        ["attributes.colour", "attributes.size", "attributes.Fits", "attributes.new"], HITS, TRAITS
    )
    assert [f.field for f in found] == [
        "attributes.colour",
        "attributes.size",
        "attributes.Fits",
        "attributes.new",
    ]
    assert [counted(f) for f in found] == [
        [("Dark Red", 3)],
        [(42, 2), (42.5, 1)],
        [("B", 2), ("a", 1)],
        [(True, 1)],
    ]
    assert type(counted(found[3])[0][0]) is bool
    assert all(f.others == 0 for f in found)


def test_brands_and_categories_are_one_in_any_case():
    hits = [
        hit(0, brand="Acme", category="Shoes > Run"),
        hit(1, brand="ACME", category="shoes"),
        hit(2, brand="Acme"),
    ]
    found = facets(["brand", "category"], hits, {})
    assert [counted(f) for f in found] == [[("Acme", 3)], [("Shoes", 2), ("Shoes > Run", 1)]]
    assert ids(one_per_group(hits, "brand", {})) == "0"


def test_fields_of_every_product_are_counted_and_a_category_counts_for_those_above_it():
    found = facets(["brand", "category", "price", "availability", "group_id", "brand"], HITS, TRAITS)
    assert [counted(f) for f in found] == [
        [("Acme", 2), ("Bolt", 1)],
        [("Shoes", 3), ("Shoes > Run", 2)],
        [(10.0, 2), (5.0, 1)],
        [("in stock", 3)],
        [("g1", 2), ("g2", 1)],
    ]
    assert counted(facets(["attributes.none"], HITS, TRAITS)[0]) == []


def test_values_are_bounded_and_what_is_left_out_is_said():
    many = [hit(n) for n in range(FACET_VALUES + 9)]
    traits = {
        h.product_id: Traits({"n": n, "long": "x" * FILTER_CHARS + "y" * n}) for n, h in enumerate(many)
    }
    (own, long) = facets(["attributes.n", "attributes.long"], many, traits)
    assert (len(own.counts), own.others) == (FACET_VALUES, 9)
    assert [len(str(c.value)) for c in long.counts] == [FILTER_CHARS]
    assert long.others == len(many) - 1
    (few,) = facets(["attributes.list"], many[:1], {"p0": Traits({"list": [str(n) for n in range(5000)]})})
    assert (len(few.counts), few.others) == (FACET_VALUES, 0)
    (big,) = facets(["attributes.big"], many[:1], {"p0": Traits({"big": 10**400})})
    assert Facet.from_json(big.to_json()) == big
    assert big.counts[0].value == str(10**400)


def test_the_first_of_each_group_stays_and_what_has_no_group_stands_alone():
    assert ids(one_per_group(HITS, "group_id", TRAITS)) == "023"
    assert ids(one_per_group(HITS, "attributes.colour", TRAITS)) == "03"
    assert ids(one_per_group(HITS, "category", TRAITS)) == "013"
    assert ids(one_per_group(HITS, "product_id", TRAITS)) == "0123"
    assert ids(one_per_group([*HITS, HITS[3]], "brand", TRAITS)) == "0133"


@pytest.mark.parametrize(
    ("sort", "order"), [("price_asc", "2031"), ("price_desc", "0321"), ("newest", "1023")]
)
def test_another_order_keeps_ties_and_puts_what_is_unknown_last(sort: str, order: str):
    assert ids(in_order(HITS, sort, {f"p{n}" for n in range(4)}, TRAITS)) == order
    assert ids(in_order(HITS, sort, {"p1", "p2"}, TRAITS)) == "".join(n for n in order if n in "12")


@given(st.lists(st.sampled_from(["red", "Red", "blue", " ", "1", 1, 2.5, True]), max_size=30))
def test_every_value_that_says_something_is_counted_once_for_its_product(values):
    hits = [hit(n) for n in range(len(values))]
    traits = {h.product_id: Traits({"a": value}) for h, value in zip(hits, values, strict=True)}
    (found,) = facets(["attributes.a"], hits, traits)
    assert sum(c.count for c in found.counts) == sum(value != " " for value in values)
    counts = [c.count for c in found.counts]
    assert counts == sorted(counts, reverse=True)

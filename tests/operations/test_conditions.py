"""A condition as an operator writes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.conditions import ConditionError, condition, shown
from schemas.search import Filter

SAID = {
    "brand == Acme": ("brand", "eq", "Acme"),
    ' brand!="Acme & Co" ': ("brand", "ne", "Acme & Co"),
    "brand == 3": ("brand", "eq", "3"),
    'brand == "3"': ("brand", "eq", "3"),
    "category == Shoes > Running": ("category", "eq", "Shoes > Running"),
    "category in Shoes, Hats": ("category", "in", ["Shoes", "Hats"]),
    'brand in ["A, B", "C"]': ("brand", "in", ["A, B", "C"]),
    "brand in inn": ("brand", "in", ["inn"]),
    "price <= 9.5": ("price", "lte", 9.5),
    "price < 1234567.25": ("price", "lt", 1234567.25),
    "price >= 0.1": ("price", "gte", 0.1),
    "price < 1e300": ("price", "lt", 1e300),
    "attributes.code == 20251201": ("attributes.code", "eq", 20251201.0),
    "price>3": ("price", "gt", 3.0),
    "attributes.Shoe size >= 42.5": ("attributes.Shoe size", "gte", 42.5),
    "attributes.waterproof==true": ("attributes.waterproof", "eq", True),
    "attributes.a.b in red, dark blue": ("attributes.a.b", "in", ["red", "dark blue"]),
    'attributes.colour != "in"': ("attributes.colour", "ne", "in"),
    "attributes.colour exists true": ("attributes.colour", "exists", True),
    "price exists false": ("price", "exists", False),
    "availability != in stock": ("availability", "ne", "in stock"),
}


@pytest.mark.parametrize("text", SAID)
def test_a_condition_is_field_operation_and_value(text: str):
    one = condition(text)
    assert (one.field, one.op, one.value) == SAID[text]
    assert condition(shown(one)) == one


@pytest.mark.parametrize(
    "text",
    [
        "",
        "brand",
        "brand = Acme",
        "title == x",
        "brand ==",
        "price < cheap",
        "price < 1_000",
        "price < nan",
        "a" * 99,
        "attributes. == x",
        "attributes.a < b",
    ],
)
def test_what_is_no_condition_says_what_is_expected(text: str):
    with pytest.raises(ConditionError, match=r"condition|number"):
        condition(text)


@given(
    st.builds(
        Filter,
        field=st.sampled_from(["brand", "category", "availability", "product_id"]),
        op=st.sampled_from(["eq", "ne", "in"]),
        value=st.text(min_size=1, max_size=20),
    )
)
def test_what_is_shown_of_a_condition_is_the_condition_whatever_its_text(one: Filter):
    if one.op == "in":
        one = one.model_copy(update={"value": [str(one.value), "x"]})
    assert condition(shown(one)) == one

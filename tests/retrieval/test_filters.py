"""Typed conditions become an expression, and nothing a client sends leaves its literal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.filters import FilterError, expression, literal
from schemas.search import Filter


def one(field: str, value: object, op: str = "eq") -> str:
    return expression([Filter.model_validate({"field": field, "op": op, "value": value})])


def test_no_condition_is_an_empty_expression():
    assert expression([]) == ""


def test_conditions_are_joined_by_and():
    filters = [Filter(field="brand", value="Sony"), Filter(field="price", op="lte", value=10.0)]
    assert expression(filters) == '(brand == "Sony") and (price >= 0.0 and price <= 10.0)'


def test_a_quote_cannot_end_the_literal():
    assert one("brand", '" or price > 0 or brand == "') == '(brand == "\\" or price > 0 or brand == \\"")'


@given(st.text(st.characters(min_codepoint=0x20, exclude_characters="\x7f", codec="utf-8"), max_size=50))
def test_every_text_survives_its_literal(text: str):
    body = literal(text)[1:-1]
    assert body.replace("\\\\", "\0").replace('\\"', "\1").replace("\1", '"').replace("\0", "\\") == text
    assert '"' not in body.replace("\\\\", "").replace('\\"', "")


def test_a_category_holds_for_everything_below_it():
    assert one("category", "A") == '(category == "A" or (category >= "A > " and category < "A >!"))'


def test_a_price_may_be_given_as_text_and_an_id_as_number():
    assert one("price", "9.5", "lt") == "(price >= 0.0 and price < 9.5)"
    assert one("product_id", 42.0) == '(product_id == "42")'


@pytest.mark.parametrize(
    ("field", "value", "op"),
    [
        ("price", "cheap", "eq"),
        ("price", ["1"], "in"),
        ("price", "inf", "lt"),
        ("brand", "Sony", "lt"),
        ("brand", ["a"], "eq"),
        ("brand", "a", "in"),
        ("brand", [], "in"),
        ("brand", "a\nb", "eq"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(field: str, value: object, op: str):
    with pytest.raises(FilterError):
        one(field, value, op)

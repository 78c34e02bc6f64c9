"""Typed conditions become an expression, and nothing a client sends leaves its literal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import spellings
from retrieval.filters import FilterError, as_written, expression, literal, meets, parsed
from retrieval.spellings import Spellings
from schemas.search import Filter
from schemas.text import clean_text


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
        ("price", "1_000", "lt"),
        ("brand", "Sony", "lt"),
        ("brand", ["a"], "eq"),
        ("brand", "a", "in"),
        ("brand", [], "in"),
        ("product_id", "a\nb", "eq"),
        ("brand", "\u200b", "eq"),
        ("category", ["A", "<b></b>"], "in"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(field: str, value: object, op: str):
    with pytest.raises(FilterError):
        one(field, value, op)


@pytest.mark.parametrize(
    "sent",
    [
        "L\u2019Or\u00e9al",
        "L'Ore\u0301al",
        "\uff2c'Or\u00e9al",
        "L&#39;Or&eacute;al",
        " L'Or\u00e9al\u00a0",
        "L'Or\u00c3\u00a9al",
        "<i>L'Or\u00e9al</i>",
        "L'Or\u00e9al\n",
    ],
)
def test_a_shop_finds_a_brand_and_a_category_by_the_very_text_it_sent(sent: str):
    """What was stored is cleaned, so what is asked for is cleaned in the same way."""
    stored = clean_text(sent)
    assert one("brand", sent) == f'(brand == "{stored}")'
    assert one("brand", [sent, "Sony"], "in") == f'(brand in ["{stored}", "Sony"])'
    assert one("category", sent, "ne") == one("category", stored, "ne")
    assert one("category", [sent], "in") == one("category", [stored], "in")


def test_an_id_is_asked_for_as_it_is():
    assert one("product_id", "a&amp;b") == '(product_id == "a&amp;b")'


def test_a_brand_a_category_and_an_availability_are_compared_in_any_case():
    fields = {"brand": "SONY", "category": "Audio > Head Phones", "availability": "In Stock"}
    for field, value in (
        ("brand", "Sony"),
        ("category", "AUDIO"),
        ("category", "audio > head\u00a0phones"),
        ("availability", "in stock"),
    ):
        assert meets(parsed([Filter(field=field, value=value)]), "p", fields)
        assert meets(parsed([Filter(field=field, op="in", value=["x", value])]), "p", fields)
        assert not meets(parsed([Filter(field=field, op="ne", value=value)]), "p", fields)
    assert not meets(parsed([Filter(field="product_id", value="P")]), "p", fields), "an id is as it is"


def test_the_index_is_asked_for_every_spelling_that_the_catalogue_has():
    known = Spellings()
    for text in ("Sony", "SONY", "sony", "Bose"):
        known.see("brand", text)
    known.see("category", "Audio > Small")
    known.see("category", "AUDIO")

    def asked(field: str, value: object, op: str = "eq") -> str:
        filters = [Filter.model_validate({"field": field, "op": op, "value": value})]
        return expression(as_written(filters, known.of))

    assert asked("brand", "sOnY") == '(brand in ["Sony", "SONY", "sony", "sOnY"])'
    assert asked("brand", "Bose") == '(brand == "Bose")'
    assert asked("brand", ["BOSE", "Unknown"], "in") == '(brand in ["Bose", "BOSE", "Unknown"])'
    every = ("Sony", "SONY", "sony")
    assert asked("brand", "sony", "ne") == " and ".join(f'(not (brand == "{text}"))' for text in every)
    assert (
        asked("category", "AUDIO")
        == f"({one('category', 'Audio')[1:-1]} or {one('category', 'AUDIO')[1:-1]})"
    )
    assert asked("category", "Audio > Small") == one("category", "Audio > Small")
    assert asked("brand", True, "exists") == one("brand", True, "exists")
    assert asked("product_id", "sony") == '(product_id == "sony")'
    assert asked("price", 5, "lt") == one("price", 5, "lt")


def test_spellings_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spellings, "MOST_FORMS", 2)
    monkeypatch.setattr(spellings, "MOST_SPELLINGS", 2)
    known = Spellings()
    for text in ("ab", "Ab", "aB", "cd", "ef", "CD"):
        known.see("brand", text)
    assert [known.of("brand", form) for form in ("ab", "cd", "ef")] == [("ab", "Ab"), ("cd", "CD"), ()]

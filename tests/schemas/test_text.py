"""Text in the one form that training and serving use."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.text import clean_text, is_placeholder, normalise_query

FRAGMENTS = [
    "&amp;",
    "amp;",
    "lt;",
    "&",
    "<b>",
    "<",
    ">",
    "b>",
    "&#60;",
    "&#x3c",
    "&OHM;",
    "Ã©",
    "â€™",
    "ŉ",
    "ﬁ",
    "ΐ",
    "İ",
    "ß",
    "x",
    " ",
    "\t",
    "\x00",
]
ANY_TEXT = st.text(max_size=40) | st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("xbox 360", "xbox 360"),
        ("  xbox \t\n 360  ", "xbox 360"),
        ("PokÃ©mon", "Pokémon"),
        ("donâ€™t", "don't"),
        ("black &amp; white", "black & white"),
        ("Tom &amp;amp; Jerry", "Tom & Jerry"),
        ("<b>bold</b> offer<br/>now", "bold offer now"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "alert(1)"),
        ("a\x00b\x1fc\x7fd", "abcd"),
        ("e\u0301clair", "éclair"),
        ("3 < 5 and 7 > 2", "3 < 5 and 7 > 2"),
        ("\ue000\ue001", ""),
        ("\ud800", "\ufffd"),
        ("\x00\x1b", ""),
        ("", ""),
    ],
)
def test_text_is_repaired(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


@given(ANY_TEXT)
def test_cleaning_a_clean_text_changes_nothing(raw: str) -> None:
    assert clean_text(clean_text(raw)) == clean_text(raw)


@given(ANY_TEXT)
def test_a_clean_text_is_composed_and_holds_no_control_character_and_no_double_space(raw: str) -> None:
    clean = clean_text(raw)
    assert clean == unicodedata.normalize("NFC", clean)
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Co", "Cn"} for c in clean)
    assert clean == " ".join(clean.split())
    assert clean.encode().decode() == clean


def test_text_escaped_without_end_is_cleaned_in_bounded_time_and_stays_clean() -> None:
    clean = clean_text("&" + "amp;" * 4000 + "lt;b&gt;")
    assert "&" not in clean
    assert clean_text(clean) == clean


@given(ANY_TEXT)
def test_a_normalised_query_is_its_own_normal_form(raw: str) -> None:
    query = normalise_query(raw)
    assert normalise_query(query) == query
    assert "\t" not in query


@pytest.mark.parametrize("raw", ["XBox 360", " xbox  360 ", "<b>XBOX</b> 360", "xbox&nbsp;360"])
def test_spellings_of_one_query_are_one_query(raw: str) -> None:
    assert normalise_query(raw) == "xbox 360"


def test_case_folds_beyond_ascii() -> None:
    assert normalise_query("STRASSE") == normalise_query("straße")


@pytest.mark.parametrize("text", ["N/A", "null", "-", "test", "None", "...", "?!", "", "\u200b"])
def test_a_placeholder_says_nothing(text: str) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize("text", ["7", "test tube", "x-ray", "nullarbor", "電球"])
def test_a_text_that_says_something_is_no_placeholder(text: str) -> None:
    assert not is_placeholder(text)

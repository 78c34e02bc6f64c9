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
    "center",
    "COPY;",
    "\u200b",
    "\u200d",
    "\ufe0f",
    "\u0d4d",
    "\U0001f469",
    "\U0001f3f4",
    "\U000e0067",
    "\u3164",
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


@pytest.mark.parametrize(
    "text",
    [
        "Garden&Center",
        "Sewing&Notions",
        "Food&Sections",
        "R&D",
        "a &not b",
        "&notit;",
        "&#xZZ;",
        "AT&T;",
        "?a=1&copy=2",
    ],
)
def test_only_an_entity_with_its_semicolon_is_one(text: str) -> None:
    assert clean_text(text) == text


@given(ANY_TEXT)
def test_the_same_words_are_the_same_text_as_title_and_as_query(raw: str) -> None:
    assert normalise_query(clean_text(raw)) == normalise_query(raw)


@pytest.mark.parametrize("raw", ["&Copy; &AMP; &EACUTE; x", "ROCK &Amp; Roll", "&#X26;", "&OHM;"])
def test_an_entity_is_decoded_however_it_is_written_so_that_folding_uncovers_none(raw: str) -> None:
    assert normalise_query(raw) == unicodedata.normalize("NFC", clean_text(raw).casefold())
    assert ";" not in clean_text(raw)


@pytest.mark.parametrize(
    "raw",
    [
        "nike shoe\u200e", "\u200fnike shoe", "nike\u200b shoe", "nike\ufffc shoe",
        "ni\u00adke shoe", "\ufeffnike shoe", "nike \u2066shoe\u2069", "nike\u2060 shoe",
        "ni\u200dke shoe", "nike\ufe0f shoe", "nike\u3164shoe", "nike shoe\u200c", "nike\u034f shoe",
        "nike shoe\U000e0041", "nike&#8203; shoe",
        "nike\u2800shoe", "&shy;nike shoe", "nike\u180e shoe",
    ],
)  # fmt: skip
def test_what_nobody_sees_splits_no_query(raw: str) -> None:
    assert normalise_query(raw) == "nike shoe"


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f469\u200d\u2764\ufe0f\u200d\U0001f468 mug",  # a couple
        "\U0001f3f3\ufe0f\u200d\U0001f308",  # the rainbow flag
        "\U0001f9d1\U0001f3fd\u200d\U0001f4bb",  # a person with a skin tone at a computer
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # the flag of Scotland
        "1\ufe0f\u20e3",  # a keycap
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, with a non-joiner
        "\u0d28\u0d4d\u200d",  # Malayalam: a letter that ends in a joiner
        "\u0915\u094d\u200d\u0937",  # Devanagari: a half letter
        "\u845b\U000e0100",  # an ideograph in one of its forms
        "\u0600\u0661",  # an Arabic number sign, which is drawn
    ],
)
def test_what_emoji_and_scripts_need_stays(text: str) -> None:
    assert clean_text(text) == text == normalise_query(text)


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

"""Texts, prices and addresses that stand for nothing, as feeds of real shops hold them.

Wider than ``schemas.text.is_placeholder``, by which intake refuses: this only reports.
"""

import re

from schemas.text import is_placeholder

_WORDS = frozenset(
    {
        # for anything
        "#n/a", "#ref!", "#value!", "#name?", "#div/0!", "[object object]", "(none)", "(not set)", "(null)",
        "<nil>", "n.a", "n.a.", "n/v", "tba", "tbc", "to be announced", "to be confirmed", "to be defined",
        "to be determined", "not available", "not applicable", "not defined", "not specified", "not set",
        "none specified", "unspecified", "no data", "no value", "no information", "empty", "blank",
        "missing", "default", "default title", "placeholder", "coming soon", "asdf", "asdfasdf", "qwerty",
        "foo", "foobar", "bla", "blabla", "text", "string",
        # for one field
        "title", "no title", "untitled", "no name", "product", "product name", "product title",
        "new product", "item name", "description", "no description", "no description available",
        "description not available", "product description", "enter description here", "insert text here",
        "your text here", "see title", "see above", "brand", "no brand", "unbranded", "brand name",
        "not branded", "category", "no category", "uncategorized", "uncategorised", "default category",
        "root category", "no image", "no image available", "no picture", "image not available",
        # in other languages
        "k.a.", "k. a.", "keine angabe", "keine beschreibung", "nicht verfügbar", "unbekannt", "ohne titel",
        "ohne marke", "platzhalter", "inconnu", "non disponible", "sans marque", "sans titre",
        "aucune description", "sin descripción", "sin marca", "sin título", "no disponible", "desconocido",
        "sconosciuto", "non specificato", "n.v.t.", "onbekend", "geen", "brak", "brak opisu", "nie dotyczy",
        "sem descrição", "sem marca", "нет", "нет описания", "なし", "无", "暂无",
    }
)  # fmt: skip
_MADE_UP = re.compile(
    r"(?:test|sample|dummy|demo|example|placeholder)"
    r"(?:[ _-]*(?:product|item|article|title|name|description|brand|category|text|sku|data))?[ _-]*\d*",
)
_FILLING = re.compile(r"\blorem ipsum\b|\bdolor sit amet\b")
# What a template has not filled in: {{ title }}, ${title}, <%= title %>, %title%.
_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}|\$\{[^{}]*\}|<%[^%]*%>|%[a-z_.]{2,40}%")
_ONE_LETTER = re.compile(r"([^\W\d_])\1{2,}")
_NO_PICTURE = re.compile(
    r"no[-_ ]?(?:image|img|photo|picture)|placeholder|coming[-_ ]?soon|(?:image[-_ ]?)?not[-_ ]?found"
    r"|not[-_ ]?available|default[-_ ]?(?:image|product|img)|missing[-_ ]?(?:image|photo)|spacer|blank\.\w+$"
)
_PRICES = frozenset(
    {0.01, 9999.99, 99999.0, 99999.99, 999999.0, 999999.99, 9999999.0, 12345.0, 123456.0, 11111.0}
)
_LONGEST = 200


def says_nothing(text: str) -> bool:
    """Say whether a cleaned text stands for "no text", also one that is filled up with Latin.

    >>> says_nothing("Lorem ipsum dolor"), says_nothing("test product 2"), says_nothing("Test tube rack")
    (True, True, False)
    """
    folded = text[:_LONGEST].casefold()
    if len(text) <= _LONGEST and (
        is_placeholder(text)
        or folded in _WORDS
        or _MADE_UP.fullmatch(folded)
        or _ONE_LETTER.fullmatch(folded)
    ):
        return True
    return bool(_FILLING.search(folded) or _TEMPLATE.search(folded))


def is_made_up_price(price: float) -> bool:
    """Say whether a price is one that people type where they know none."""
    return price in _PRICES


def names_no_picture(address: str) -> bool:
    """Say whether an address is, by its last part, that of a picture that stands for none.

    >>> names_no_picture("https://cdn.example/no-image.png"), names_no_picture("https://cdn.example/mug.png")
    (True, False)
    """
    return bool(_NO_PICTURE.search(address.casefold().rstrip("/").rpartition("/")[2]))

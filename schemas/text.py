"""Text in the one form that training and serving both use.

Decides how raw text is repaired and when it says nothing. It knows no field names and no topics.
"""

import html
import re
import unicodedata

import ftfy

_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_SPACE = re.compile(r"\s+")
_PLACEHOLDERS = frozenset(
    {"n/a", "na", "null", "none", "nil", "undefined", "unknown", "test", "tbd", "todo", "nan", "-", "--", "?", ".", "x", "xxx"}
)


def clean_text(raw: str) -> str:
    """Return ``raw`` with mojibake repaired, HTML and control characters out, NFC, whitespace collapsed.

    Idempotent on its own output. Returns ``""`` when nothing readable is left.
    """
    text = ftfy.fix_text(raw, normalization="NFC", unescape_html=False)
    text = _TAG.sub(" ", html.unescape(text))
    text = "".join(" " if unicodedata.category(c) in {"Cc", "Cs", "Co", "Cn"} else c for c in text)
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip()


def is_placeholder(text: str) -> bool:
    """Say whether a cleaned text stands for "no text": ``N/A``, ``null``, ``-``, ``test`` and their like."""
    return text.casefold() in _PLACEHOLDERS or not any(c.isalnum() for c in text)


def normalise_query(raw: str) -> str:
    """Return the form of a query that keys a pair and reaches the model: cleaned and case-folded.

    ``"  XBox 360 "`` and ``"xbox 360"`` are one query. Never holds a tab, so it can stand in a tab-separated key.
    """
    return _SPACE.sub(" ", clean_text(raw).casefold()).strip()

"""Text in the one form that training and serving both use.

Decides how raw text is repaired and when it says nothing. It knows no field names and no topics.
"""

import html
import re
import unicodedata
from collections.abc import Callable

import ftfy

_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_SPACE = re.compile(r"\s+")
_MAX_PASSES = 6
# Control, surrogate, private and unassigned characters.
_UNREADABLE = frozenset({"Cc", "Cs", "Co", "Cn"})
# Drawn as nothing, though they are no spaces: zero-width and other format characters (Cf), and the blanks of some scripts.
_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0 ")
_PLACEHOLDERS = frozenset(
    {"n/a", "na", "null", "none", "nil", "undefined", "unknown", "test", "tbd", "todo", "nan", "-", "--", "?", ".", "x", "xxx"}
)


def clean_text(raw: str) -> str:
    """Return ``raw`` with mojibake repaired, HTML and control characters out, NFC, whitespace collapsed.

    Idempotent. Returns ``""`` when nothing readable is left.
    """
    if raw.isascii() and raw.isprintable() and "&" not in raw and "<" not in raw:
        return " ".join(raw.split())  # nothing to repair: the common case, and far cheaper
    return _settled(_repair, raw)


def is_placeholder(text: str) -> bool:
    """Say whether a cleaned text stands for "no text": ``N/A``, ``null``, ``-``, ``test`` and their like."""
    return text.casefold() in _PLACEHOLDERS or not any(c.isalnum() for c in text)


def normalise_query(raw: str) -> str:
    """Return the form of a query that keys a pair and reaches the model: cleaned and case-folded.

    ``"  XBox 360 "`` and ``"xbox 360"`` are one query. Never holds a tab, so it can stand in a tab-separated key.
    """
    return _settled(lambda text: clean_text(text.casefold()), clean_text(raw))


def _settled(step: Callable[[str], str], text: str) -> str:
    """Apply ``step`` until it changes nothing: unescaping may uncover a tag, and casefolding an entity."""
    for _ in range(_MAX_PASSES):
        after = step(text)
        if after == text:
            break
        text = after
    return text


def _repair(text: str) -> str:
    text = _without_entities(ftfy.fix_text(text, normalization="NFC", unescape_html=False))
    text = "".join(" " if unicodedata.category(c) in _UNREADABLE else c for c in _TAG.sub(" ", text))
    text = _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip()
    return "" if all(c in _INVISIBLE or unicodedata.category(c) == "Cf" for c in text) else text


def _without_entities(text: str) -> str:
    """Unescape HTML, also what was escaped several times over; deeper nesting is nobody's text and loses its ampersands."""
    for _ in range(_MAX_PASSES):
        after = html.unescape(text)
        if after == text:
            return text
        text = after
    return text.replace("&", " ")

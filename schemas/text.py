"""Text in the one form that training and serving both use.

Decides how raw text is repaired and when it says nothing. It knows no field names and no topics.
"""

import html
import re
import unicodedata
from collections.abc import Callable
from html.entities import html5

import ftfy

from schemas.invisible import without_invisible

_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_SPACE = re.compile(r"\s+")
_MAX_PASSES = 6
# Control, surrogate, private and unassigned characters.
_UNREADABLE = frozenset({"Cc", "Cs", "Co", "Cn"})
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_PLACEHOLDERS = frozenset(
    {
        "n/a",
        "na",
        "null",
        "none",
        "nil",
        "undefined",
        "unknown",
        "test",
        "tbd",
        "todo",
        "nan",
        "-",
        "--",
        "?",
        ".",
        "x",
        "xxx",
    }
)


def clean_text(raw: str) -> str:
    """Return ``raw`` with mojibake repaired, HTML, control and invisible characters out.

    Also NFC, whitespace collapsed. Idempotent. Returns ``""`` when nothing readable is left.
    """
    if raw.isascii() and raw.isprintable() and "&" not in raw and "<" not in raw:
        return " ".join(raw.split())  # nothing to repair: the common case, and far cheaper
    return _settled(_repair, raw)


def is_placeholder(text: str) -> bool:
    """Say whether a cleaned text stands for "no text": ``N/A``, ``null``, ``-``, ``test`` and their like."""
    return text.casefold() in _PLACEHOLDERS or not any(c.isalnum() for c in text)


def normalise_query(raw: str) -> str:
    """Return the form of a query that keys a pair and reaches the model: cleaned and case-folded.

    ``"  XBox 360 "`` and ``"xbox 360"`` are one query. Never holds a tab, so it can stand in a tab-separated
    key.
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
    return _SPACE.sub(" ", unicodedata.normalize("NFC", without_invisible(text))).strip()


def _without_entities(text: str) -> str:
    """Unescape HTML, also what was escaped several times over.

    Deeper nesting is nobody's text and loses its ampersands. HTML also knows 106 names without a semicolon,
    by which ``garden&center`` would hold a cent sign.
    """
    for _ in range(_MAX_PASSES):
        after = _ENTITY.sub(_character, text)
        if after == text:
            return text
        text = after
    return text.replace("&", " ")


def _character(entity: re.Match[str]) -> str:
    """Return what an entity stands for; ``&Amp;`` is ``&amp;``, for a query is folded and a title not.

    A name that is none stays.
    """
    found = entity[0]
    if found[1] == "#":
        return html.unescape(found)
    name = found[1:]
    return html5.get(name) or html5.get(name.casefold(), found)

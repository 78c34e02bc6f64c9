"""Characters that nobody sees: which of them stand in a text for nothing, and which its signs need.

A copied text brings direction marks, zero-width spaces, soft hyphens; two texts that look the same must be
the same key. What changes how its neighbours are drawn stays where it does so: the joiners of emoji and
scripts, the tags of a flag, a variation selector behind a sign.
"""

import unicodedata

# Zero-width non-joiner and joiner, and the Mongolian vowel separator.
_JOINERS = frozenset("\u200c\u200d\u180e")
_TAGS = frozenset(map(chr, range(0xE0020, 0xE0080)))
_BLACK_FLAG = "\U0001f3f4"
_SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
_KEYCAP = "\u20e3"
# The combining class of what takes a letter's vowel away: with a joiner it makes a half letter, also at a
# word's end
_VIRAMA = 9
# Letters without case, marks, symbols: what joiners stand between. No Latin, Greek or Cyrillic letter is
# among them.
_JOINED = frozenset({"Lo", "Lm", "Mn", "Mc", "Me", "So", "Sk"})
# Format characters (Cf) that are drawn: signs above numbers and verses.
_DRAWN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
# Marks and letters that are drawn as nothing.
_NOTHING = frozenset("\u034f\u17b4\u17b5")
# Drawn as a blank, though they are no spaces: fillers, and the empty braille cell.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def without_invisible(text: str) -> str:
    r"""Return ``text`` without what nobody sees; what is drawn as a blank becomes a space.

    >>> without_invisible("nike\u200b shoe\u200e")
    'nike shoe'
    """
    if text.isascii():
        return text
    kept: list[str] = []
    for at, char in enumerate(text):
        if char in _BLANK:
            kept.append(" ")
        elif _is_seen(char, kept[-1] if kept else "", text[at + 1 : at + 2]):
            kept.append(char)
    return "".join(kept)


def _is_seen(char: str, before: str, after: str) -> bool:
    if char in _JOINERS:
        return _joins(before) and (_joins(after) or unicodedata.combining(before) == _VIRAMA)
    if char in _TAGS:
        return before == _BLACK_FLAG or before in _TAGS
    if char in _SELECTORS:
        return _selects(before, after)
    return char in _DRAWN or (char not in _NOTHING and unicodedata.category(char) != "Cf")


def _joins(char: str) -> bool:
    return bool(char) and char not in _SELECTORS - {"\ufe0f"} and unicodedata.category(char) in _JOINED


def _selects(before: str, after: str) -> bool:
    """Say whether a variation selector has a sign that it varies.

    A symbol, a letter without case, the digit of a keycap.
    """
    if not before or before in _SELECTORS:
        return False
    return after == _KEYCAP or not (
        before.isascii() or before.isspace() or unicodedata.category(before) in {"Lu", "Ll", "Lt", "Cf"}
    )

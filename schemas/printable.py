"""Text from others as a terminal may show it.

Nothing in it moves the cursor, sets a title, hides or reorders what stands beside it. What shops, shoppers
and strangers write reaches the operator's screen by commands and logs; an escape there can rewrite earlier
lines or fill the clipboard (OSC 52), and a bidi control can show a name backwards. New lines and tabs stay.
"""

import re

# C0 without tab and new line, DEL, C1 (a CSI in one character), bidi controls, line and paragraph separator,
# surrogates, tags.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
_PICTURES, _DELETE, _UNKNOWN = 0x2400, "\u2421", "\ufffd"


def printable(text: str) -> str:
    r"""Return the text with each unsafe character as one visible character in its place.

    >>> printable("a\x1b[2Jb\x7f"), printable("two\nlines")
    ('a␛[2Jb␡', 'two\nlines')
    """
    return _UNSAFE.sub(lambda m: _picture(m[0]), text)


def printable_json(text: str) -> str:
    r"""Return JSON that says the same, with each unsafe character as its escape ``\u....``.

    They can only lie inside strings.
    """
    return _UNSAFE.sub(
        lambda m: "".join(f"\\u{int.from_bytes(unit, 'big'):04x}" for unit in _utf16(m[0])), text
    )


def _picture(character: str) -> str:
    if character == "\x7f":
        return _DELETE
    return chr(_PICTURES + ord(character)) if ord(character) < 0x20 else _UNKNOWN


def _utf16(character: str) -> list[bytes]:
    encoded = character.encode("utf-16-be", "surrogatepass")
    return [encoded[i : i + 2] for i in range(0, len(encoded), 2)]

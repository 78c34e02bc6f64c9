"""What a terminal is shown of other people's text."""

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from schemas.printable import printable, printable_json

ANY = st.text(st.characters(exclude_categories=()), max_size=60)
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(ANY)
def test_nothing_that_controls_a_terminal_is_left_and_every_other_character_stays(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t" for c in shown)
    assert not any(unicodedata.bidirectional(c) in BIDI or c in "\u200e\u200f\u061c" for c in shown)
    assert len(shown) == len(text)
    assert all(
        a == b or unicodedata.category(a) in {"Cc", "Cs", "Cf", "Zl", "Zp", "Cn"}
        for a, b in zip(text, shown, strict=True)
    )
    shown.encode()


@given(
    st.recursive(
        ANY | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(ANY, inner),
        max_leaves=8,
    )
)
def test_json_says_the_same_and_holds_nothing_unsafe(value: object) -> None:
    text = printable_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == json.loads(json.dumps(value))
    assert printable(text) == text

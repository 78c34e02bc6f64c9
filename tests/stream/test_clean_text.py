from hypothesis import given
from hypothesis import strategies as st

from schemas.text import _repair, clean_text


@given(st.text(st.characters(min_codepoint=0, max_codepoint=127)))
def test_plain_text_takes_the_short_way_to_the_same_result(raw):
    assert clean_text(raw) == _repair(raw)

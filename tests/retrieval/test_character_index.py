"""How alike texts are written, and which of many are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.character_index import VISITED, CharacterIndex, build_character_index
from retrieval.character_ngrams import ngrams

texts = st.lists(st.text("ab 1é日", max_size=12), min_size=1, max_size=20)


def index_of(own: list[str]) -> CharacterIndex:
    return CharacterIndex.of(build_character_index(own))


def alike(index: CharacterIndex, query: str) -> list[float]:
    return index.similarities(index.read(query), np.arange(len(index.norms))).tolist()


@settings(max_examples=50, deadline=None)
@given(texts)
def test_a_text_is_most_alike_to_itself_and_nothing_is_beyond_one(own: list[str]) -> None:
    index = index_of(own)
    for row, text in enumerate(own):
        found = alike(index, text)
        assert all(-1e-6 <= value <= 1 + 1e-5 for value in found)
        assert found[row] == pytest.approx(1.0 if text.strip() else 0.0, abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(texts, st.text("ab 1é日", max_size=12))
def test_whatever_shares_three_characters_is_found_and_nothing_else(own: list[str], query: str) -> None:
    index = index_of(own)

    def long(text: str) -> set[str]:
        return {
            f" {w} "[at : at + 3] for w in text.split() for at in range(len(w)) if len(f" {w} ") >= at + 3
        }

    found = index.nearest(index.read(query), len(own))
    assert found.tolist() == [row for row, text in enumerate(own) if long(text) & long(query)]


def test_an_ngram_stays_within_its_word() -> None:
    rows, hashes, sizes = ngrams(["ab c"])
    # " a", "ab", "b ", " c", "c ", " ab", "ab ", " c ", " ab "
    assert (len(set(hashes.tolist())), sorted(sizes.tolist())) == (9, [2] * 5 + [3] * 3 + [4])
    assert rows.tolist() == [0] * 9
    assert [len(ngrams([text])[0]) for text in ("", " ", "a", "AB  c")] == [0, 0, 3, 9]


def test_what_no_text_has_makes_a_query_less_like_any() -> None:
    index = index_of(["xbox", "wii"])
    assert alike(index, "zzzz") == [0.0, 0.0]
    assert index.nearest(index.read("zzzz"), 5).tolist() == []
    assert 0.3 < alike(index, "xbox 999")[0] < 0.9
    assert alike(index, "xbox")[0] == pytest.approx(1.0)


def test_among_more_texts_than_are_looked_at_the_right_one_is_found() -> None:
    own = [f"game number {n:05}" for n in range(60_000)]
    index = index_of(own)
    assert len(own) > VISITED
    for row in (3, 31_415, 59_999):
        assert row in index.nearest(index.read(own[row]), 100)
        assert row in index.nearest(index.read(own[row].replace("number", "numbre")), 100)


def test_of_texts_that_hold_the_query_the_shortest_is_the_nearest() -> None:
    index = index_of(["xbox 360 console bundle", "xbox", "xbox 360 console"])
    assert index.nearest(index.read("xbox"), 1).tolist() == [1]
    for _ in range(3):  # what was added up before does not count now
        assert index.nearest(index.read("xbox 360 console bundle"), 1).tolist() == [0]
    assert index.nearest(index.read("xbox"), 1).tolist() == [1]


def test_a_search_leaves_nothing_behind_for_the_next() -> None:
    index = index_of(["xbox 360", "xbox one", "wii remote"])
    first = [index.nearest(index.read(q), 2).tolist() for q in ("xbox", "wii", "xbox")]
    assert first[0] == first[2] == [0, 1]
    assert alike(index, "xbox") == alike(index, "xbox")

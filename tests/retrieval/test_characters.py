"""How alike query and product are written, over a catalogue that changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import known_texts
from retrieval.character_index import CharacterIndex, build_character_index
from retrieval.characters import LEADING, ngram_counts
from retrieval.word_schema import WordDocument
from retrieval.words import CharacterSource, WordIndex
from schemas.search import Filter

SHOP = {"p1": "Xbox 360 console", "p2": "dishwasher", "p3": "dish towel", "p4": "洗碗機 dishwasher"}
TEXTS = st.lists(
    st.sampled_from(["xbox", "360", "dish", "washer", "a", "洗碗", "co-op"]), min_size=1, max_size=5
)


def index(texts: dict[str, str]) -> WordIndex:
    words = WordIndex("english")
    words.change(WordDocument(*one) for one in texts.items())
    return words


def values(words: WordIndex, query: str) -> dict[str, float]:
    return CharacterSource(words).ask(query).values(list(words._numbers))


@pytest.mark.parametrize(
    ("query", "product"), [("xbox360", "p1"), ("dishwaser", "p2"), ("DISH WASHER", "p2")]
)
def test_typing_errors_and_words_run_together_find_their_product(query: str, product: str):
    words = index(SHOP)
    assert next(iter(CharacterSource(words).ask(query).best(10))) == product
    if query != "DISH WASHER":
        assert words.best(query, 10) == {}  # no word of it is in the shop


@pytest.mark.parametrize("query", ["", " ", "zzzz", "\u200b", "?", "\U0001f600"])
def test_what_shares_nothing_finds_nothing(query: str):
    opinion = CharacterSource(index(SHOP)).ask(query)
    assert opinion.best(10) == {} == opinion.values(SHOP)
    assert CharacterSource(WordIndex("english")).ask("dish").best(5) == {}


def test_filters_hold_and_the_values_do_not_depend_on_them():
    words = WordIndex("english")
    words.change([WordDocument("a", "red shoe", "Nike"), WordDocument("b", "red shoes", "Puma")])
    opinion = CharacterSource(words).ask("red shose")
    everything = opinion.best(10)
    assert opinion.best(10, [Filter(field="brand", value="Puma")]) == {"b": everything["b"]}
    assert opinion.best(1) == dict(list(everything.items())[:1])


@given(st.dictionaries(st.sampled_from("abcdefgh"), TEXTS, min_size=1), TEXTS)
def test_after_any_change_the_values_are_those_of_a_catalogue_that_never_was_another(texts, asked):
    own = {i: " ".join(text) for i, text in texts.items()}
    words = index(SHOP | dict.fromkeys("abcd", "gone tomorrow"))
    words.change(WordDocument(*one) for one in own.items())
    words.change(gone=[*SHOP, *(set("abcd") - own.keys())])
    query = " ".join(asked)
    assert values(words, query) == pytest.approx(values(index(own), query))
    fixed = CharacterIndex.of(build_character_index(list(own.values())))
    alike = fixed.similarities(fixed.read(query), np.arange(len(own)))
    expected = {i: float(v) for i, v in zip(own, alike, strict=True) if v > 0}
    if all(part in " ".join(own.values()) for part in asked):  # n-grams of no text are weighed alike then
        assert values(words, query) == pytest.approx(expected, abs=1e-3)


def test_texts_that_were_used_long_ago_are_read_again(monkeypatch: pytest.MonkeyPatch):
    expected = values(index(SHOP), "dish washer xbox")
    monkeypatch.setattr(known_texts, "MOST", 1)
    words = index(SHOP)
    assert values(words, "dish washer xbox") == expected
    assert len(words.characters._known) == 1
    words.change(gone=["p1"])
    assert "p1" not in values(words, "dish washer xbox")
    assert words.characters._count == 3
    assert int(words.characters._frequency.min()) == 0


def test_long_texts_cost_what_their_beginning_costs():
    (short,), (long,) = ngram_counts(["dish " * 32]), ngram_counts(["dish " * 32 + "xbox " * 10_000])
    assert len("dish " * 32) == LEADING
    assert long.counts.tolist() == short.counts.tolist()
    (often,) = ngram_counts(["a" * LEADING])
    assert int(often.times.max()) > 100

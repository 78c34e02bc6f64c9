"""How much of what a query asks for a product has, over a catalogue that changes."""

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import known_texts
from retrieval.characters import LEADING
from retrieval.coverage import LETTERS, REPAIRED, SHARPNESS
from retrieval.coverage_source import CoverageSource
from retrieval.memory_parts import sources_of
from retrieval.ranking import contest
from retrieval.word_schema import WordDocument
from retrieval.words import WordIndex
from schemas.releases import Ranking
from schemas.search import Filter

SHOP = {
    "p1": "Red 8 ft. step ladder",
    "p2": "Red step stool, red and light",
    "p3": "Dishwasher rack",
    "p4": "Countersink drill bit 1/2 in.",
    "p5": "Chandelier of bronze",
    "p6": "洗碗機 rack",
}
TEXTS = st.lists(
    st.sampled_from(
        ["red", "ladder", "step", "dish", "washer", "dishwasher", "8", "ft", "8ft", "洗碗機", "laddr"]
    ),
    min_size=1,
    max_size=5,
)


def index(texts: dict[str, str], language: str = "english") -> WordIndex:
    words = WordIndex(language)
    words.change(WordDocument(*one) for one in texts.items())
    return words


def values(words: WordIndex, query: str) -> dict[str, float]:
    return CoverageSource(words).ask(query).values(list(words._numbers))


def test_a_product_with_every_word_of_the_query_has_one_and_each_missing_word_tells():
    found = values(index(SHOP), "red step ladder")
    assert found["p1"] == pytest.approx(1.0)
    count = len(SHOP)
    red, step = math.sqrt(math.log(1 + (count - 1.5) / 2.5)), math.sqrt(math.log(1 + (count - 1.5) / 2.5))
    ladder = math.sqrt(math.log(1 + (count - 0.5) / 1.5))
    assert found["p2"] == pytest.approx(((red + step) / (red + step + ladder)) ** SHARPNESS)
    assert found.keys() == {"p1", "p2"}


def test_a_word_that_stands_there_twice_makes_up_for_no_other():
    words = index({"a": "red red red red shoe", "b": "red boot"})
    assert words.best("red boots for hiking", 2).keys() == {"a", "b"}
    found = values(words, "red boots for hiking")
    assert found["b"] > 4 * found["a"]


@pytest.mark.parametrize(
    ("query", "product"),
    [
        ("counter sink", "p4"),  # run together in the shop
        ("stepladder", "p1"),  # apart in the shop
        ("8ft stepladder", "p1"),
        ("chandilier", "p5"),  # a letter replaced, left out, too many, two swapped
        ("chanelier", "p5"),
        ("chandellier", "p5"),
        ("chadnelier", "p5"),
        ("LADDERS", "p1"),
        ("洗碗", "p6"),
    ],
)
def test_a_word_counts_whole_where_it_is_only_written_otherwise(query: str, product: str):
    words = index(SHOP)
    found = values(words, query)
    assert found == {product: pytest.approx(1.0)}
    opinion = CoverageSource(words).ask(query)
    if words.best(query, 10) == {}:
        assert opinion.best(10) == found  # nobody else names it by words


@pytest.mark.parametrize("query", ["12", "1 2 3", "8f", "redd", "lite", "steps tool"])
def test_numbers_are_no_spellings_and_known_words_are_not_corrected(query: str):
    words = index({"a": "12 tools", "b": "red light 8", "c": "123"})
    wanted = CoverageSource(words).ask(query)._wanted
    assert ("12",) not in wanted.ways[0] or query == "12"
    assert ("123",) not in wanted.ways[0]
    assert values(index({"a": "blue light", "b": "blues"}), "blue").keys() == {"a", "b"}
    assert values(index({"a": "lighter", "b": "light"}), "lighter") == {"a": pytest.approx(1.0)}


@pytest.mark.parametrize("query", ["", " ", "zzzz", "\u200b", "?", "\U0001f600", "the", "zz" * 5000])
def test_what_shares_nothing_finds_nothing(query: str):
    opinion = CoverageSource(index(SHOP)).ask(query)
    assert opinion.best(10) == {} == opinion.values(SHOP)
    assert CoverageSource(WordIndex("english")).ask("dish").values(["p1"]) == {}


def test_a_query_that_is_read_as_it_is_written_names_nobody():
    opinion = CoverageSource(index(SHOP)).ask("red step ladder")
    assert opinion.best(10) == {}
    assert set(opinion.values(SHOP)) == {"p1", "p2"}


def test_filters_hold_and_the_values_do_not_depend_on_them():
    words = WordIndex("english")
    words.change([WordDocument("a", "red ladder", "Nike"), WordDocument("b", "ladder", "Puma")])
    opinion = CoverageSource(words).ask("red laddr")
    everything = opinion.best(10)
    assert list(everything) == ["a", "b"]
    assert opinion.best(10, [Filter(field="brand", value="Puma")]) == {"b": everything["b"]}
    assert opinion.best(1) == {"a": everything["a"]}


def test_a_query_of_many_unknown_words_costs_no_more_than_a_few():
    wanted = CoverageSource(index(SHOP)).ask(" ".join(f"laddr{'x' * n}" for n in range(200)))._wanted
    assert len(wanted.ways) <= 64
    many = "laddre ldader laddr lader lddder ladderr ladser ladfer ladeer"
    repaired = [ways for ways in CoverageSource(index(SHOP)).ask(many)._wanted.ways if len(ways) > 1]
    assert len(repaired) <= REPAIRED


@given(st.dictionaries(st.sampled_from("abcdefgh"), TEXTS, min_size=1), TEXTS)
def test_after_any_change_the_values_are_those_of_a_catalogue_that_never_was_another(texts, asked):
    own = {i: " ".join(text) for i, text in texts.items()}
    words = index(SHOP | dict.fromkeys("abcd", "gone tomorrow"))
    words.change(WordDocument(*one) for one in own.items())
    words.change(gone=[*SHOP, *(set("abcd") - own.keys())])
    query, fresh = " ".join(asked), index(own)
    assert words.coverage._frequency == fresh.coverage._frequency
    assert +words.coverage._letters == +fresh.coverage._letters
    assert values(words, query) == pytest.approx(values(fresh, query))
    assert all(0 < value <= 1 + 1e-9 for value in values(words, query).values())


def test_texts_that_were_used_long_ago_are_read_again(monkeypatch: pytest.MonkeyPatch):
    expected = values(index(SHOP), "red step ladder")
    monkeypatch.setattr(known_texts, "MOST", 1)
    words = index(SHOP)
    assert values(words, "red step ladder") == expected
    assert len(words.coverage._known) == 1
    words.change(gone=["p1"])
    assert "p1" not in values(words, "red step ladder")
    assert words.coverage._count == len(SHOP) - 1
    assert "ladder" not in words.coverage._frequency


def test_the_beginning_of_a_text_counts():
    found = values(index({"a": "rack " * (LEADING // 5) + "dish", "b": "rack and dish"}), "dish rack")
    assert found["b"] == pytest.approx(1.0)
    assert found["a"] < 0.9


def test_a_ranking_of_before_asks_nothing_of_it():
    words = index(SHOP)
    before = Ranking(coefficients={"dense": 1.0, "words": 0.4}, language="english")
    sources = sources_of(before, words, model_sha256="")
    assert "coverage" in sources
    assert contest("redd ladder", [1.0], {"p1": 0.5}, sources, before).parts.keys() == {"dense", "words"}


def test_a_query_in_the_middle_of_a_change_is_answered():
    words = index({})
    asked = []

    class Asking(Counter[str]):
        def update(self, word: Any = None, /, **more: int) -> None:  # what a change does with each new word
            super().update(word, **more)
            asked.append(words.coverage.wanted("red stepp ladder"))

    words.coverage._letters = Asking()
    asked.clear()
    words.change(
        [WordDocument("a", "red red step"), WordDocument("b", "red step"), WordDocument("c", "step ladder")]
    )
    assert [round(sum(one.shares), 9) for one in asked] == [1.0] * 3
    words.change(gone=["a", "b", "c"])
    assert words.coverage.wanted("red stepp ladder").words == {"red", "stepp", "ladder"}


def test_the_letters_that_may_be_missing_do_not_depend_on_the_order_of_the_catalogue():
    letters = [chr(0x0430 + n) for n in range(LETTERS + 5)]
    texts = {letter: letter * 3 for letter in letters}
    one, other = index(texts, ""), index(dict(reversed(texts.items())), "")
    assert one.coverage._alphabet() == other.coverage._alphabet() == sorted(letters)[:LETTERS]

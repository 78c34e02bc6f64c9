"""BM25 over a catalogue that changes."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import words as home
from retrieval.filters import FilterError
from retrieval.word_schema import WordDocument
from retrieval.words import WordIndex, analysis_digest, words_of
from schemas.search import Filter

SHOP = {
    "p3": "red running shoes",
    "p1": "blue running shoes",
    "p2": "blue running shoes",
    "p4": "garden hose",
}
OF_SHOES = st.lists(
    st.sampled_from(["red", "blue", "shoe", "hose", "4", "x", "garden"]), min_size=1, max_size=5
)


def index(texts: dict[str, str], language: str = "english") -> WordIndex:
    words = WordIndex(language)
    words.change(WordDocument(*one) for one in texts.items())
    return words


def test_the_best_match_comes_first_and_ties_go_to_the_smaller_id():
    found = index(SHOP).best("Blue Shoe", 10)
    assert list(found) == ["p1", "p2", "p3"]
    assert found["p1"] == found["p2"] == 1.0 > found["p3"] > 0


def test_words_are_stemmed_on_both_sides_and_those_of_one_character_count():
    assert list(index(SHOP).best("hoses gardening", 5)) == ["p4"]
    lumber = index({"a": "lumber 4 x 8 ft", "b": "lumber 4 x 6 ft"})
    assert list(lumber.best("4 x 6", 2)) == ["b", "a"]
    assert list(lumber.best("8", 2)) == ["a"]


def test_unknown_words_blank_queries_and_an_empty_catalogue_find_nothing():
    words = index(SHOP)
    assert [words.best(q, 5) for q in ("zeppelin", "", "the", "'\"+-(")] == [{}, {}, {}, {}]
    assert WordIndex("english").best("shoes", 5) == {} == index({"a": "the"}).best("shoes", 5)


def test_what_changes_is_found_at_once_and_what_goes_is_not():
    words = index(SHOP)
    words.change([WordDocument("p4", "garden gnome")], ["p1", "nobody"])
    assert (list(words.best("hose", 5)), list(words.best("gnome", 5))) == ([], ["p4"])
    assert (len(words), "p1" in words, list(words.best("blue", 5))) == (3, False, ["p2"])
    for _ in range(3):
        words.change([WordDocument("o'n\"eil", "garden gnome")])
    assert words._index.searcher().num_docs == 4  # nothing of before is left to count in BM25
    assert words.best("gnome", 1) == {"o'n\"eil": 1.0}


def test_a_product_that_comes_twice_in_one_change_is_held_as_it_came_last():
    words = index(SHOP)
    words.change([WordDocument("p4", "one", version=2), WordDocument("p4", "two", version=3)], ["p4", "p1"])
    assert (list(words.best("one", 5)), list(words.best("two", 5)), words.version("p4")) == ([], ["p4"], 3)
    assert (len(words), words.version("p1")) == (3, None)


def test_while_much_changes_every_product_keeps_its_words_and_meets_its_conditions():
    """A search beside a change sees the index before it or after it, and never half of it."""
    words, ids = WordIndex("english"), [f"p{n}" for n in range(300)]
    nike = [Filter(field="brand", value="Nike")]
    documents = [WordDocument(i, f"shoe number{i}", "Nike") for i in ids]
    words.change(documents)
    changing = threading.Thread(target=lambda: [words.change(documents) for _ in range(20)])
    changing.start()
    while changing.is_alive():
        assert words.meeting(ids, nike) == set(ids)
        assert words.values("shoe", ids).keys() == set(ids)
        assert words.best("numberp7", 1) == {"p7": 1.0}
    changing.join()


def test_a_search_that_outlasts_several_changes_finds_what_was_there(monkeypatch: pytest.MonkeyPatch):
    words = index(SHOP)
    before = words._index.searcher()
    for _ in range(3):
        words.change([WordDocument("p4", "garden hose")])
    monkeypatch.setattr(words, "_index", type("Before", (), {"searcher": lambda _: before})())
    assert words.best("hose", 5) == {"p4": 1.0}


def test_numbers_of_what_left_are_let_go_in_the_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("retrieval.words.SEARCH_S", -1.0)
    words = index(SHOP)
    for _ in range(5):
        words.change([WordDocument("p4", "garden hose")])
    assert len(words._ids) <= len(SHOP) + 1


@given(st.dictionaries(st.sampled_from("abcdefgh"), OF_SHOES, min_size=1), OF_SHOES, st.integers(1, 8))
def test_a_value_depends_on_query_and_product_alone(texts, asked, k):
    words, query = index({i: " ".join(own) for i, own in texts.items()}), " ".join(asked)
    everything = words.best(query, 100)
    assert all(0 < value <= 1 for value in everything.values())
    assert words.best(query, k) == dict(list(everything.items())[:k])
    assert words.values(query, [*texts, "nobody"]) == pytest.approx(everything)
    chosen = words.best(query, 100, [Filter(field="product_id", op="in", value=["a", "c"])])
    assert chosen == pytest.approx({i: v for i, v in everything.items() if i in {"a", "c"}})


@pytest.mark.parametrize("many", [1, 2, 3, 5])
def test_values_are_the_same_however_many_are_looked_at_first(monkeypatch: pytest.MonkeyPatch, many: int):
    texts = SHOP | {"p5": "blue hose", "p6": "blue"}
    everything = index(texts).best("blue running hose", 100)
    monkeypatch.setattr(home, "LOOKED_AT", many)
    monkeypatch.setattr(home, "MOST_TIES", 0)
    opinion = index(texts).ask("blue running hose")
    assert opinion.best(1) == dict(list(everything.items())[:1])
    assert opinion.values(["nobody", *texts]) == pytest.approx(everything)
    assert len(everything) == len(texts)


FILTERED = [
    WordDocument("a", "red shoe", "Nike", "Shoes > Run", "in_stock", 10.0),
    WordDocument("b", "red shoe", "Nike & Co", "Shoes", "sold_out", 20.0),
    WordDocument("c", "red shoe", "", "Shoes > Running", "", None),
    WordDocument("d", "red shoe", "nike", "", "in_stock", 0.0),
]


@pytest.mark.parametrize(
    ("field", "op", "value", "found"),
    [
        ("brand", "eq", "Nike", "ad"),
        ("brand", "ne", "NIKE", "bc"),
        ("brand", "in", ["nike", "x"], "ad"),
        ("category", "eq", "Shoes", "abc"),
        ("category", "eq", "Shoes > Run", "a"),
        ("category", "ne", "Shoes > Run", "bcd"),
        ("category", "in", ["Shoes > Run", "Shoes > Running"], "ac"),
        ("availability", "eq", "in_stock", "ad"),
        ("product_id", "in", ["a", "d"], "ad"),
        ("brand", "exists", True, "abd"),
        ("category", "exists", "false", "d"),
        ("price", "exists", False, "c"),
        ("price", "exists", True, "abd"),
        ("price", "eq", 10, "a"),
        ("price", "ne", 10, "bd"),
        ("price", "lt", 10, "d"),
        ("price", "lte", 10, "ad"),
        ("price", "gt", 10, "b"),
        ("price", "gte", 10, "ab"),
        ("price", "gte", -5, "abd"),
        ("price", "lt", -5, ""),
    ],
)
def test_conditions_mean_what_they_mean_in_milvus(field, op, value, found):
    words = WordIndex("english")
    words.change(FILTERED)
    assert "".join(words.best("shoe", 10, [Filter(field=field, op=op, value=value)])) == found


def test_conditions_are_joined_by_and_and_a_senseless_one_is_refused():
    words = WordIndex("english")
    words.change(FILTERED)
    both = [Filter(field="category", op="ne", value="Shoes"), Filter(field="price", op="lt", value=15)]
    assert list(words.best("shoe", 10, both)) == ["d"]
    with pytest.raises(FilterError):
        words.best("shoe", 10, [Filter(field="brand", op="lt", value="x")])


@pytest.mark.parametrize(
    ("language", "text", "query"),
    [
        ("german", "Laufschuhe für Damen", "laufschuh für dame"),
        ("french", "chaussures de course légères", "chaussure légère"),
        ("japanese", "ソニー 無線イヤホン 黒", "無線イヤホン"),
        ("chinese", "男士跑步鞋", "跑步"),
        ("", "Tee-Kanne 1,5 l", "tee kanne"),
    ],
)
def test_other_languages_are_read_as_they_are_written(language, text, query):
    assert list(index({"a": text, "b": "zzz"}, language).best(query, 5)) == ["a"]


def test_stop_words_are_those_of_the_language():
    assert words_of("für the and", "german") == ["the", "and"]
    assert words_of("für the and", "english") == ["für"]
    assert words_of("für the and", "klingon") == ["für", "the", "and"]
    assert len({analysis_digest(language) for language in ("english", "german", "")}) == 3

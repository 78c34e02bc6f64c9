"""BM25 as the baseline of the gate."""

from retrieval.lexical import Lexical

IDS = ["p3", "p1", "p2", "p4"]
TEXTS = ["red running shoes", "blue running shoes", "blue running shoes", "garden hose"]


def test_the_best_match_comes_first_and_ties_go_to_the_smaller_id():
    (found,) = Lexical(IDS, TEXTS).rank(["Blue Shoe"], 10)
    assert [p for p, _ in found] == ["p1", "p2", "p3"]
    assert found[0][1] == found[1][1] > found[2][1] > 0


def test_the_order_of_the_catalogue_does_not_matter():
    back = Lexical(IDS[::-1], TEXTS[::-1])
    assert back.rank(["running hoses"], 3) == Lexical(IDS, TEXTS).rank(["running hoses"], 3)


def test_words_are_stemmed_on_both_sides():
    assert [p for p, _ in Lexical(IDS, TEXTS).rank(["hoses gardening"], 5)[0]] == ["p4"]


def test_words_of_one_character_count():
    lexical = Lexical(["a", "b"], ["lumber 4 x 8 ft", "lumber 4 x 6 ft"])
    assert [p for p, _ in lexical.rank(["4 x 6"], 2)[0]] == ["b", "a"]
    assert [p for p, _ in lexical.rank(["8"], 2)[0]] == ["a"]


def test_unknown_words_and_blank_queries_find_nothing():
    assert Lexical(IDS, TEXTS).rank(["zeppelin", "", "the"], 5) == [[], [], []]


def test_an_empty_catalogue_finds_nothing():
    assert Lexical([], []).rank(["shoes"], 5) == [[]]
    assert Lexical(["a"], ["the"]).rank(["shoes"], 5) == [[]]


def test_scores_are_those_of_the_ranking_in_the_order_of_the_ids():
    lexical = Lexical(IDS, TEXTS)
    scores = lexical.scores(["blue shoes", "zeppelin"])
    assert lexical.ids == sorted(IDS)
    assert scores[1].tolist() == [0.0] * 4
    assert {p: s for p, s in zip(lexical.ids, scores[0].tolist(), strict=True) if s > 0} == dict(
        lexical.rank(["blue shoes"], 9)[0]
    )

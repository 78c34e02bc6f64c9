"""How much each part weighs, and that too little evidence changes nothing."""

import pytest

from trainer.evaluation.fusion import GRID, MIN_QUERIES, by_rank, fit

DENSE_ONLY = {"dense": 1.0}


def validation(count: int, *, words_know: bool = True, **further):
    """Queries whose product is ``b``.

    The cosine prefers ``a``, the words prefer ``b`` or, where they know nothing, ``c``.
    """
    words = {"b": 1.0, "c": 1 / 3} if words_know else {"c": 1.0}
    parts = {"dense": {"a": 0.5, "b": 0.4, "c": 0.3}, "words": words, **further}
    return [(parts, {"b": 1.0})] * count


def test_words_that_know_the_answer_are_weighed_just_enough():
    found = fit(validation(MIN_QUERIES), ["words"])
    assert found.coefficients == {"dense": 1.0, "words": 0.15}  # the first of the grid that lifts b over a
    assert (found.queries, found.ndcg10) == (MIN_QUERIES, 1.0)


def test_parts_that_know_nothing_are_left_out():
    assert fit(validation(MIN_QUERIES, words_know=False), ["words"]).coefficients == DENSE_ONLY
    noise = {"memory": {"c": 1.0}}
    assert fit(validation(MIN_QUERIES, **noise), ["memory", "words"]).coefficients == {
        "dense": 1.0,
        "words": 0.15,
    }


def test_two_parts_that_are_right_on_different_queries_are_both_taken():
    one = ({"dense": {"a": 0.5, "b": 0.4}, "words": {"b": 1.0}, "memory": {}}, {"b": 1.0})
    other = ({"dense": {"a": 0.5, "b": 0.4}, "words": {}, "memory": {"b": 1.0}}, {"b": 1.0})
    found = fit([one, other] * MIN_QUERIES, ["memory", "words"])
    assert found.coefficients == {"dense": 1.0, "memory": 0.15, "words": 0.15}


def test_too_few_queries_change_nothing():
    found = fit(validation(MIN_QUERIES - 1), ["words"])
    assert (found.coefficients, found.queries) == (DENSE_ONLY, MIN_QUERIES - 1)
    assert fit([], ["words"]).coefficients == DENSE_ONLY


def test_queries_without_a_gain_do_not_count():
    known = validation(MIN_QUERIES)
    assert fit([*known, *((parts, {"b": 0.0}) for parts, _ in known)], ["words"]).queries == MIN_QUERIES


def test_a_part_that_is_missed_by_less_than_half_a_standard_error_is_left_out():
    right = ({"dense": {"a": 0.5, "b": 0.4}, "words": {"b": 1.0}}, {"b": 1.0})
    wrong = ({"dense": {"a": 0.5, "b": 0.4}, "words": {"b": 1.0}}, {"a": 1.0})
    barely = fit([*[right] * 52, *[wrong] * 48], ["words"])  # .04 better, with a standard error of .1
    assert barely.coefficients == DENSE_ONLY
    assert fit([*[right] * 70, *[wrong] * 30], ["words"]).coefficients == {"dense": 1.0, "words": 0.15}


def test_fusion_by_rank_counts_every_list_and_breaks_ties_by_id():
    assert by_rank([["a", "b", "c"], ["c", "b", "a"]], 2) == ["a", "c"]
    assert by_rank([[], ["c"]], 5) == ["c"]
    assert by_rank([], 5) == []


@pytest.mark.parametrize("c", GRID)
def test_every_coefficient_leaves_the_ideal_order_alone(c):
    parts = {"dense": {"a": 0.9, "b": 0.2}, "words": {"a": 1.0, "b": 0.2}}
    found = fit([(parts, {"a": 1.0})] * MIN_QUERIES, ["words"], grid=(c,))
    assert found.ndcg10 == 1.0

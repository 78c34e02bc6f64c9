"""Words beside vectors: how much, and that too little evidence changes nothing."""

import numpy as np
import pytest

from trainer.evaluation.fusion import GRID, MIN_QUERIES, by_rank, choose, fit, fuse, scaled

IDS = ["a", "b", "c"]


def validation(count: int, *, words_know: bool):
    """Queries whose product is ``b``.

    The cosine prefers ``a``, BM25 prefers ``b`` or, where words know nothing, ``c``.
    """
    dense = np.tile(np.array([0.5, 0.4, 0.3], dtype=np.float32), (count, 1))
    lexical = np.tile(np.array([0, 9, 3] if words_know else [0, 0, 9], dtype=np.float32), (count, 1))
    return [(dense, lexical, [{"b": 1.0}] * count)]


def test_words_are_scaled_by_the_best_match_of_each_query():
    assert scaled(np.array([[2.0, 4.0], [0.0, 0.0]], dtype=np.float32)).tolist() == [[0.5, 1.0], [0.0, 0.0]]


def test_without_a_coefficient_the_cosine_is_untouched():
    dense = np.array([[0.1, 0.2]], dtype=np.float32)
    assert fuse(dense, np.ones((1, 2), dtype=np.float32), 0.0) is dense


def test_words_that_know_the_answer_are_weighed_just_enough():
    found = fit(validation(MIN_QUERIES, words_know=True), IDS)
    assert found.coefficient == 0.15  # the first of the grid that lifts b over a
    assert found.queries == MIN_QUERIES
    assert len(found.ndcg10) == len(GRID)


def test_words_that_know_nothing_are_left_out():
    assert fit(validation(MIN_QUERIES, words_know=False), IDS).coefficient == 0.0


def test_too_few_queries_change_nothing():
    found = fit(validation(MIN_QUERIES - 1, words_know=True), IDS)
    assert (found.coefficient, found.queries) == (0.0, MIN_QUERIES - 1)


def test_no_queries_at_all_change_nothing():
    assert fit([], IDS).coefficient == 0.0


def test_queries_without_a_gain_do_not_count():
    (part,) = validation(MIN_QUERIES, words_know=True)
    blank = (part[0], part[1], [{"b": 0.0}] * MIN_QUERIES)
    assert fit([part, blank], IDS).queries == MIN_QUERIES


def test_a_difference_within_one_standard_error_goes_to_the_smaller_coefficient():
    noise = np.random.default_rng(1).normal(size=400)
    barely = np.stack([np.zeros(400), 0.5 + 10 * noise / noise.std(), np.zeros(400)], axis=1)
    barely[:, 1] += 0.4 - barely[:, 1].mean()  # mean .4, standard error .5
    assert choose(barely) == 0
    clearly = barely.copy()
    clearly[:, 1] += 0.2
    assert choose(clearly) == 1


def test_fusion_by_rank_counts_every_list_and_breaks_ties_by_id():
    assert by_rank([["a", "b", "c"], ["c", "b", "a"]], 2) == ["a", "c"]
    assert by_rank([[], ["c"]], 5) == ["c"]
    assert by_rank([], 5) == []


@pytest.mark.parametrize("c", GRID)
def test_every_coefficient_leaves_the_ideal_order_alone(c):
    dense, lexical = np.array([[0.9, 0.2]], dtype=np.float32), np.array([[5.0, 1.0]], dtype=np.float32)
    assert fuse(dense, lexical, c).argmax() == 0

"""The one function that sums parts."""

import pytest

from retrieval.ranking import RankingError, rank
from schemas.releases import Ranking


def test_by_default_the_dense_score_ranks():
    assert rank({"dense": {"a": 0.2, "b": 0.9, "c": 0.5}}, Ranking(), 2) == [("b", 0.9), ("c", 0.5)]


def test_a_tie_goes_to_the_smaller_id_whatever_the_order_of_the_parts():
    assert [p for p, _ in rank({"dense": {"b": 0.5, "a": 0.5, "c": 0.5}}, Ranking(), 3)] == ["a", "b", "c"]


def test_a_product_of_one_part_only_competes_with_zero_in_the_other():
    ranking = Ranking(coefficients={"dense": 1.0, "prior": 0.5})
    assert rank({"dense": {"a": 0.4}, "prior": {"b": 1.0}}, ranking, 2) == [("b", 0.5), ("a", 0.4)]


def test_a_part_without_weight_changes_nothing():
    assert rank(
        {"dense": {"a": 0.4}, "noise": {"z": 9.0}}, Ranking(coefficients={"dense": 1.0, "noise": 0.0}), 5
    ) == [("a", 0.4)]


def test_a_weighted_part_that_nobody_computed_is_an_error_not_a_zero():
    with pytest.raises(RankingError, match="bm25"):
        rank({"dense": {"a": 0.4}}, Ranking(coefficients={"dense": 1.0, "bm25": 0.1}), 5)


def test_nothing_found_is_an_empty_ranking():
    assert rank({"dense": {}}, Ranking(), 5) == []

"""The one function that sums parts."""

from collections.abc import Iterable

import numpy as np
import pytest

from retrieval.ranking import RankingError, contest, rank
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


class Planted:
    """A source that knows these values, whatever is asked."""

    def __init__(self, known: dict[str, float]) -> None:
        self.known = known

    def ask(self, query: str, vector: object) -> "Planted":
        return self

    def best(self, k: int, filters: object = ()) -> dict[str, float]:
        return dict(sorted(self.known.items(), key=lambda one: (-one[1], one[0]))[:k])

    def values(self, product_ids: Iterable[str]) -> dict[str, float]:
        return {i: self.known[i] for i in product_ids if i in self.known}


HYBRID = Ranking(coefficients={"dense": 1.0, "words": 0.5})
VECTOR = np.zeros(2, dtype=np.float32)


def test_every_candidate_competes_by_every_part_whoever_named_it():
    cosines = {"a": 0.9, "b": 0.5, "c": 0.1}
    sources = {"words": Planted({"a": 0.2, "c": 1.0})}
    found = contest("q", VECTOR, {"a": 0.9, "b": 0.5}, sources, HYBRID)
    parts = found.complete(lambda ids: {i: cosines[i] for i in ids})
    assert parts == {"dense": cosines, "words": {"a": 0.2, "c": 1.0}}
    assert rank(parts, HYBRID, 3) == [("a", 1.0), ("c", 0.6), ("b", 0.5)]


def test_those_who_compete_stand_before_all_others():
    scores = {"dense": {"a": 0.9, "b": 0.5, "c": 0.5, "d": 0.7}}
    assert rank(scores, Ranking(), 3, {"c", "b", "z"}) == [("b", 0.5), ("c", 0.5), ("a", 0.9)]


def test_a_part_may_name_no_candidates_and_value_those_of_others():
    ranking = Ranking(coefficients={"dense": 1.0, "prior": 0.5})
    found = contest("q", VECTOR, {"a": 0.4, "b": 0.5}, {"prior": Planted({"a": 1.0, "z": 1.0})}, ranking)
    assert found.candidates() == {"a", "b"}
    assert rank(found.complete(lambda _: {}), ranking, 3) == [("a", 0.9), ("b", 0.5)]


def test_a_candidate_that_no_index_holds_leaves_the_contest():
    found = contest("q", VECTOR, {"a": 0.9}, {"words": Planted({"gone": 1.0})}, HYBRID)
    assert rank(found.complete(lambda _: {}), HYBRID, 3) == [("a", 0.9)]


def test_a_weighed_part_without_a_source_is_an_error():
    with pytest.raises(RankingError, match="words"):
        contest("q", VECTOR, {"a": 0.9}, {}, HYBRID)


def test_a_picture_alone_competes_by_the_cosine_alone():
    """All other parts read a text."""
    found = contest("", VECTOR, {"a": 0.9, "b": 0.2}, {"words": Planted({"b": 9.0, "c": 9.0})}, HYBRID)
    assert found.complete(lambda _: {"c": 0.9}) == {"dense": {"a": 0.9, "b": 0.2}}


def test_without_further_parts_nobody_is_asked():
    found = contest("q", VECTOR, {"a": 0.9}, {"words": Planted({"b": 1.0})}, Ranking())
    assert (found.parts, dict(found.opinions)) == ({"dense": {"a": 0.9}}, {})

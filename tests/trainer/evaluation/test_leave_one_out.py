"""What a part adds is what the score loses without it, on the same candidates and paired by query."""

import polars as pl
import pytest

from retrieval.ranking import RANKER, rank
from schemas.releases import Ranking
from trainer.evaluation.leave_one_out import TRAINING, part_gains, without_each

RANKING = Ranking(coefficients={"dense": 1.0, "words": 0.5, "memory": 1.0, "prior": 0.0, "ranker": 0.2})
PARTS = {
    "dense": {"a": 0.5, "b": 0.6, "c": 0.1},
    "words": {"a": 0.5},
    "memory": {"c": 0.9},
    "ranker": {"a": 1.0, "c": -1.0},
}


def _queries(unseen):
    return pl.DataFrame(
        {
            "query": [f"q{n}" for n in range(len(unseen))],
            "unseen": unseen,
            "relevant": [["a"]] * len(unseen),
            "gains": [[1.0]] * len(unseen),
        },
        schema_overrides={
            "unseen": pl.Boolean,
            "relevant": pl.List(pl.String),
            "gains": pl.List(pl.Float64),
        },
    )


def _first(ranking):
    return [product for product, _ in rank(PARTS, ranking, 10)]


def test_each_part_that_weighs_is_left_out_of_the_sum_and_the_ranker_of_the_whole():
    fewer = {part: one.coefficients for part, one in without_each(RANKING).items()}
    assert fewer == {
        "ranker": {"dense": 1.0, "words": 0.5, "memory": 1.0},
        "dense": {"words": 0.5, "memory": 1.0},
        "memory": {"dense": 1.0, "words": 0.5},
        "words": {"dense": 1.0, "memory": 1.0},
    }
    assert without_each(Ranking()) == {"dense": Ranking(coefficients={})}


def test_a_gain_is_the_score_less_that_without_the_part():
    whole = [_first(RANKING)] * 3
    without = {part: [_first(one)] * 3 for part, one in without_each(RANKING).items()}
    found = part_gains(_queries([True, False, False]), whole, without, [["b", "a"]] * 3, seed=1)
    second, third = 0.63093, 0.5
    expected = {
        RANKER: 1 - second,  # a third less c, which memory had first
        "words": second - third,
        "memory": second - 1,
        "dense": 0.0,
        TRAINING: 1 - second,
    }
    assert {part: by["all"].mean for part, by in found.items()} == pytest.approx(expected, abs=1e-4)
    assert {group: score.n for group, score in found["words"].items()} == {
        "all": 3,
        "repeated": 2,
        "unseen": 1,
    }
    same = found["memory"]["repeated"]
    assert same.ci_low == pytest.approx(same.mean) == same.ci_high


def test_intervals_are_of_the_paired_differences():
    whole, without = [["a"], ["a"], ["b", "a"], ["b", "a"]], {"words": [["b", "a"]] * 4}
    found = part_gains(_queries([False] * 4), whole, without, seed=1)["words"]
    assert found["all"].ci_low < found["all"].mean < found["all"].ci_high
    assert (found["all"].ci_low, "unseen" in found) == (0.0, False)


def test_no_queries_have_no_gains():
    assert part_gains(_queries([]), [], {"words": []}, seed=1) == {"words": {}}

"""Which pairs a candidate's greatest changes of rank came by."""

import polars as pl

from tests.trainer.builders import a_pair, weighed
from trainer.data.snapshot import frames
from trainer.evaluation.rank_changes import rank_changes

PAIRS = [
    a_pair("q", "a", {100: 9}),
    a_pair("q", "b", {100: 2}, clients=2),
    a_pair("r", "a", {100: 4}),
    a_pair("r", "c", {100: 1}),
]


def found(before, after, *, believed=None):
    snapshot = frames(PAIRS, [])
    weighted = weighed(snapshot)
    rows = [(*pair, share) for pair, share in (believed or {}).items()]
    trusted = pl.DataFrame(
        rows, schema={"query": pl.String, "product_id": pl.String, "believed": pl.Float64}, orient="row"
    )
    return rank_changes(
        ["q", "r"], before, after, weighted=weighted, clients=snapshot.clients, trusted=trusted
    )


def test_the_greatest_rise_of_a_trained_pair_comes_first_and_what_was_not_shown_was_eleventh():
    changes = found([["a", "x"], ["x", "a"]], [["b", "a"], ["a", "x"]])
    assert [(c.query, c.product_id, c.before, c.after) for c in changes] == [
        ("q", "b", 11, 1),
        ("r", "a", 2, 1),
    ]
    assert (changes[0].clients, changes[0].credit, changes[0].believed) == (2, 2.0, 1.0)


def test_of_equal_rises_the_one_that_is_believed_least_comes_first():
    changes = found([[], []], [["a"], ["a"]], believed={("q", "a"): 1.0, ("r", "a"): 0.1})
    assert [c.query for c in changes] == ["r", "q"]


def test_a_product_that_was_not_trained_for_the_query_or_fell_is_not_named():
    assert found([["a", "b"], []], [["b2", "a"], ["b"]]) == []

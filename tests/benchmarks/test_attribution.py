"""A small run of the attribution benchmark, and the usual joins on a case made for them."""

from benchmarks.attribution import measure
from benchmarks.exactness.usual_joins import JOINS
from tests.stream.builders import DAY, MINUTE, act, search


def test_ours_finds_the_true_search_and_is_ahead_of_the_usual_joins():
    found = measure(seed=4, events=3000)
    assert found["decidable"] > 100
    assert found["precision"]["ours"] >= 0.98
    assert found["recall"]["ours"] >= 0.95
    for name in JOINS:
        assert found["recall"]["ours"] > found["recall"][name]
    assert found["precision"]["ours"] > max(
        found["precision"]["query_id_join"], found["precision"]["last_search"]
    )


def test_each_usual_join_looks_at_what_it_is_named_after():
    events = [
        search("q1", "mug", ["p1"], session="s"),
        search("q2", "lamp", ["p2"], at=MINUTE, session="s"),
        act("purchase", "p1", at=2 * MINUTE, order="o1", query_id="q2", session="s"),
        act("purchase", "p1", at=DAY, order="o2", query_id="gone", session="t"),
    ]
    first, second = ("o1", "p1"), ("o2", "p1")
    assert JOINS["query_id_join"](events) == {first: "lamp"}
    assert JOINS["last_search"](events) == {first: "lamp", second: "lamp"}
    assert JOINS["session_30min"](events) == {first: "mug"}

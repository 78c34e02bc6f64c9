"""What of a judgment set changes by ratings, and what the API holds of the sets. Pure."""

import time

from api.bodies import HttpFault
from api.judgment_state import ratings_after, set_of, sets_of
from api.operator_state import JUDGMENT_BYTES, OperatorState
from schemas.bounds import RATINGS
from schemas.judged_queries import RatedQuery, judged_key
from schemas.operator_http import RatingWish
from tests.api.test_operator_state import after, record
from tests.releases import NOW


def judged(query: str, *, name: str = "house", **ratings: float) -> RatedQuery:
    return RatedQuery(name=name, query=query, ratings=ratings, actor="ann", at=NOW)


def holding(*every: RatedQuery) -> OperatorState:
    return after(*(record("judgments", one.to_json(), judged_key(one.name, one.query)) for one in every))


def wish(query: str, product: str, relevance: float | None) -> RatingWish:
    return RatingWish(query=query, product_id=product, relevance=relevance)


def test_the_newest_record_of_a_query_counts_and_null_takes_it_out():
    state = holding(judged("mug", p1=1), judged("mug", p1=3, p2=0), judged("cup", name="other", p1=1))
    assert [(one.name, one.queries, one.ratings) for one in sets_of(state)] == [
        ("house", 1, 2), ("other", 1, 1),
    ]  # fmt: skip
    state.take(record("judgments", b"{", judged_key("other", "cup")))
    state.take(record("judgments", judged("cup", p1=1).to_json(), judged_key("house", "mug")))
    state.take(record("judgments", b"{}", None))
    assert (set_of(state, "house"), set_of(state, "other"), state.judgments_left) == ([], [], JUDGMENT_BYTES)


def test_sets_are_counted_in_one_pass():
    """Each was looked for among the queries of all: of 20,000 sets that took a minute of everybody."""
    state = holding(*(judged("mug", name=f"s{n}", p1=1) for n in range(20_000)))
    began = time.perf_counter()
    assert len(sets_of(state)) == 20_000
    assert time.perf_counter() - began < 5


def test_ratings_join_those_of_their_query_and_what_is_there_already_changes_nothing():
    state = holding(judged("mug", p1=1, p2=2), judged("cup", p1=1))
    assert ratings_after(state, "house", [wish(" MUG", "p1", 1), wish("cup", "p9", None)]) == {}
    assert ratings_after(
        state, "house", [wish("mug", "p3", 0), wish("mug", "p1", None), wish("cup", "p1", None)]
    ) == {"mug": {"p2": 2, "p3": 0}, "cup": {}}
    assert ratings_after(state, "other", [wish("mug", "p1", 2), wish("mug", "p1", 3)]) == {"mug": {"p1": 3}}


def test_what_finds_no_room_is_refused_and_nothing_that_was_left_out_is_overwritten():
    many = [wish("mug", f"p{n}", 1) for n in range(RATINGS + 1)]
    fault = ratings_after(holding(), "house", many)
    assert isinstance(fault, HttpFault)
    assert fault.status == 422
    wide = {"x" * 200 + str(n): 1.0 for n in range(RATINGS)}
    state = holding(*(judged(f"mug {n}", **wide) for n in range(50)))
    assert 0 < len(state.judged) < 50
    assert 0 <= state.judgments_left < JUDGMENT_BYTES
    fault = ratings_after(state, "house", [wish("mug 49", "p1", 1)])
    assert isinstance(fault, HttpFault)
    assert fault.status == 409
    assert ratings_after(state, "house", [wish("mug 0", "x" * 200 + "0", 2)])

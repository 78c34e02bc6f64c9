"""What a search showed, as an event."""

from retrieval.seal import KEY_BYTES, Keys
from schemas.search import HitRule, RuleAction, ScoredHit, SearchError, SearchRequest, SearchResponse, Status
from searcher.shown import query_id_of, search_event

KEY = bytes(range(KEY_BYTES))


def request(**fields: object) -> SearchRequest:
    return SearchRequest.model_validate({"request_id": "r1", "user_query": "TV", **fields})


def response(to: SearchRequest, status: Status = Status.OK) -> SearchResponse:
    hits = [ScoredHit(product_id="p1", rank=11, score=0.9), ScoredHit(product_id="p2", rank=12, score=0.8)]
    fault = None if status is Status.OK else SearchError(code="c", message="m")
    return SearchResponse(
        request_id="r1", query_id=query_id_of(to), status=status, hits=hits, generation=3, error=fault
    )


def test_the_event_says_what_was_shown_where_and_by_which_generation():
    to = request(query_id="q1", session_id="s1")
    event = search_event(to, response(to), at_ms=1_700_000_000_123, key=KEY)
    assert event is not None
    assert (event.query_id, event.session_id, event.user_query, event.generation) == ("q1", "s1", "TV", 3)
    assert [(h.object_id, h.rank) for h in event.hits] == [("p1", 11), ("p2", 12)]
    assert b"2023-11-14T22:13:20.123Z" in event.to_json()
    keys = Keys()
    keys.learn(KEY.hex())
    assert keys.made(event.seal, event.query_id, 3)


def test_the_event_says_what_a_rule_placed_and_not_what_it_changed_otherwise():
    to, ruled = request(query_id="q1"), []
    for n, action in enumerate(RuleAction):
        for placed in (True, False):
            rule = HitRule(rule_id="r", action=action, placed=placed)
            ruled.append(ScoredHit(product_id=f"{action}{placed}", rank=n + 1, score=0.5, rule=rule))
    shown = response(to).model_copy(update={"hits": [*ruled, *response(to).hits]})
    event = search_event(to, shown, at_ms=5, key=KEY)
    assert event is not None
    assert event.placed == [f"{action}True" for action in RuleAction]
    assert len(event.shown()) == 10


def test_what_was_shown_for_a_picture_is_told_only_where_there_is_a_text_to_learn_by():
    beside = request(client_id="c1", image=b"prepared")
    event = search_event(beside, response(beside), at_ms=5, key=KEY)
    assert event is not None
    assert event.user_query == "TV"
    alone = request(client_id="c1", image=b"prepared", user_query="")
    assert query_id_of(alone) is None
    named = request(client_id="c1", image=b"prepared", user_query="", query_id="q1")
    assert query_id_of(named) == "q1"
    for one in (alone, named):
        assert search_event(one, response(one), at_ms=5, key=KEY) is None


def test_a_request_that_comes_again_gives_the_same_event():
    to = request(client_id="c1")
    assert search_event(to, response(to), at_ms=5, key=KEY) == search_event(
        to, response(to), at_ms=5, key=KEY
    )
    assert query_id_of(to) == query_id_of(request(client_id="c1"))
    assert query_id_of(to) != query_id_of(request(client_id="c1", request_id="r2"))


def test_a_comparison_teaches_nothing_whoever_asks():
    for ranking in ("previous", "dense", "words", "base"):
        to = request(client_id="c1", query_id="q1", ranking=ranking)
        assert query_id_of(to) is None
        told = response(to).model_copy(update={"query_id": "q1"})
        assert search_event(to, told, at_ms=5, key=KEY) is None


def test_an_anonymous_request_teaches_nothing():
    assert query_id_of(request()) is None
    assert search_event(request(), response(request()), at_ms=5, key=KEY) is None


def test_an_answer_without_result_is_no_search():
    to = request(client_id="c1")
    assert [
        search_event(to, response(to, s), at_ms=5, key=KEY)
        for s in (Status.ERROR, Status.EXPIRED, Status.REJECTED)
    ] == [None] * 3

"""Which answers are remembered, and for which requests."""

from schemas.search import SearchError, SearchRequest, SearchResponse, Status
from searcher.answered import MOST_S, RecentAnswers, same


def request(**fields: object) -> SearchRequest:
    return SearchRequest.model_validate({"request_id": "r", "user_query": "tv", **fields})


def test_a_request_is_the_same_whatever_its_timeout_and_another_when_it_asks_for_something_else():
    assert same(request()) == same(request(timeout_ms=1))
    others = [
        {"user_query": "radio"}, {"k": 3}, {"offset": 3}, {"explain": True}, {"client_id": "c"},
        {"query_id": "q"}, {"filters": [{"field": "brand", "value": "red"}]}, {"request_id": "other"},
    ]  # fmt: skip
    assert len({same(request(**fields)) for fields in [{}, *others]}) == len(others) + 1


def test_the_newest_answers_are_remembered_within_their_bytes():
    answered, response = RecentAnswers(3, 100), SearchResponse(request_id="r", status=Status.OK)
    for n in range(4):
        answered.add(n, response, b"x", now=0.0)
    assert [answered.get(n, now=1.0) is not None for n in range(4)] == [False, True, True, True]
    answered.add(4, response, b"x" * 98, now=0.0)  # two bytes are left
    assert [answered.get(n, now=1.0) is not None for n in range(5)] == [False, False, True, True, True]
    answered.add(4, response, b"y", now=0.0)
    assert answered.get(4, now=1.0) == (response, b"y")


def test_an_answer_that_asks_to_try_again_is_not_given_again():
    answered = RecentAnswers(3, 100)
    error = SearchError(code="index_unavailable", message="", retryable=True)
    answered.add(1, SearchResponse(request_id="r", status=Status.ERROR, error=error), b"x", now=0.0)
    assert answered.get(1, now=0.0) is None


def test_an_answer_that_nobody_can_still_wait_for_is_searched_again():
    answered, response = RecentAnswers(3, 100), SearchResponse(request_id="r", status=Status.OK)
    answered.add(1, response, b"x", now=50.0)
    assert answered.get(1, now=50.0 + MOST_S) is not None
    assert answered.get(1, now=50.1 + MOST_S) is None

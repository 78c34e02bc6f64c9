"""The spans of an answered request add up to what its answer tells."""

from schemas.search import SearchResponse, Status, Timings
from searcher.replying import Reply
from searcher.requests import Accepted, read
from searcher.spanning import spans_of
from tests.searcher.asking import NOW_MS, record

MS = 1_000_000


def reply(timings: Timings) -> Reply:
    accepted = read(record("r1"), {"answers": 1}, "answers")
    assert isinstance(accepted, Accepted)
    response = SearchResponse(request_id="r1", status=Status.OK, generation=7, timings=timings)
    return Reply(accepted, response)


def test_the_parts_stand_one_behind_the_other_from_when_it_was_sent():
    one = reply(Timings(queue_ms=4, embed_ms=2, search_ms=9, index_ms=6, total_ms=15))
    sent_ms = one.to.sent_ms or 0
    whole, parts = spans_of(one, writing_ms=sent_ms + 16.0, written_ms=sent_ms + 18.0)
    begun = whole.begin_ns
    assert [(p.name, (p.begin_ns - begun) // MS, (p.end_ns - begun) // MS) for p in parts] == [
        ("queue", 0, 4), ("embed", 4, 6), ("index", 6, 12), ("parts", 12, 15), ("reply", 16, 18),
    ]  # fmt: skip
    assert (whole.end_ns - whole.begin_ns) // MS == 18
    assert dict(whole.attributes) == {"searchloop.status": "ok", "searchloop.generation": 7}


def test_what_was_not_searched_has_a_reply_alone():
    one = reply(Timings())
    whole, parts = spans_of(one, writing_ms=NOW_MS, written_ms=NOW_MS + 1.0)
    assert [p.name for p in parts] == ["reply"]
    assert whole.begin_ns <= parts[0].begin_ns

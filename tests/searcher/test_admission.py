"""What waits for its turn, what is answered at once, and what may be committed."""

import pytest
from prometheus_client import REGISTRY

from broker.records import Record
from schemas.bounds import IMAGE_BYTES
from schemas.search import Status
from searcher.admission import MOST_PICTURES, PICTURES_BYTES, WAITING_BYTES, Admission
from searcher.replying import Reply
from searcher.serving import Server
from tests.searcher.asking import NOW_MS, record


@pytest.fixture
def desk() -> Admission:
    return Admission({"answers": 2}, "answers", "main", refuse=Server._rejected, most=3)


def take_in(
    desk: Admission, read: Record, now_ms: float = NOW_MS + 10, read_up_ms: float | None = None
) -> list[Reply]:
    return desk.take_in(read, now_ms=now_ms, read_up_ms=read_up_ms)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"searchloop_search_{name}_total", labels) or 0.0


def answered(desk: Admission) -> list[Reply]:
    """Take whose turn it is, and return replies to them, as if they had been searched."""
    from searcher.endings import expired  # noqa: PLC0415 any answer will do

    return [
        Reply(a.accepted, expired(a.accepted, now_ms=NOW_MS, skew_ms=0.0))
        for a in desk.take(10, heavy_too=True)
    ]


def test_a_good_request_waits_and_is_committed_only_when_its_answer_is_written(desk: Admission):
    first = record("a")
    assert take_in(desk, first) == []
    replies = answered(desk)
    assert desk.committable() == []
    desk.done(replies)
    assert [r.offset for r in desk.committable()] == [first.offset]
    assert desk.committable() == []


def test_a_request_that_is_answered_at_once_is_not_committed_past_one_that_waits(desk: Admission):
    take_in(desk, record("waits"))
    (late,) = take_in(desk, record("late", at_ms=NOW_MS - 60_000))
    assert late.response.status is Status.EXPIRED
    desk.done([late])
    assert desk.committable() == []


def test_what_has_waited_too_long_is_told_so_and_committed(desk: Admission):
    read = record("a", timeout_ms=1000)
    take_in(desk, read)
    (late,) = desk.late(now_ms=NOW_MS + 2000)
    assert (late.response.request_id, late.response.status) == ("a", Status.EXPIRED)
    assert answered(desk) == []
    desk.done([late])
    assert [r.offset for r in desk.committable()] == [read.offset]


def test_a_record_that_is_read_again_gets_no_second_answer_and_is_committed_with_its_first(desk: Admission):
    read = record("a")
    take_in(desk, read)
    replies = answered(desk)
    desk.begin()
    assert take_in(desk, read) == []
    assert answered(desk) == []
    assert desk.committable() == []
    desk.done(replies)
    assert [r.offset for r in desk.committable()] == [read.offset]
    desk.begin()
    take_in(desk, read)
    assert [r.offset for r in desk.committable()] == [read.offset]


def test_a_request_for_another_deployment_is_left_to_it(desk: Admission):
    theirs = record("a", deployment="other")
    assert take_in(desk, theirs) == []
    assert answered(desk) == []
    assert [r.offset for r in desk.committable()] == [theirs.offset]
    take_in(desk, record("b", deployment="main"))
    assert len(answered(desk)) == 1


def test_what_waits_is_read_again_under_another_assignment(desk: Admission):
    read = record("a")
    take_in(desk, read)
    desk.begin()
    take_in(desk, read)
    assert len(answered(desk)) == 1


def test_a_clock_that_is_behind_is_named_in_the_answer_and_counted(desk: Admission):
    before = counted("clock_skew", direction="behind")
    (reply,) = take_in(desk, record("a", at_ms=NOW_MS - 90_000), read_up_ms=NOW_MS)
    assert reply.response.error is not None
    assert (reply.response.status, reply.response.error.code) == (Status.EXPIRED, "clock_skew")
    assert "90 s behind" in reply.response.error.message
    assert counted("clock_skew", direction="behind") == before + 1


def test_a_request_that_waited_in_the_log_is_expired_without_blame_for_its_clock(desk: Admission):
    (reply,) = take_in(desk, record("a", at_ms=NOW_MS - 90_000))
    assert reply.response.error is not None
    assert reply.response.error.code == "expired"
    assert "90.0 s behind" in reply.response.error.message


def test_a_clock_that_is_ahead_is_counted_and_the_request_searched(desk: Admission):
    before = counted("clock_skew", direction="ahead")
    assert take_in(desk, record("a", at_ms=NOW_MS + 600_000)) == []
    assert counted("clock_skew", direction="ahead") == before + 1


def test_one_that_would_expire_before_its_turn_is_told_at_once_and_when_to_come_again(desk: Admission):
    desk.pace.note(10.0, 0.0, 10.0)
    desk.pace.note(100.0, 10.0, 110.0)
    for n in range(2):
        take_in(desk, record(str(n), client_id="greedy", timeout_ms=60_000))
    (reply,) = take_in(desk, record("hasty", client_id="greedy", timeout_ms=700))
    assert reply.response.error is not None
    error = reply.response.error
    assert (reply.response.status, error.code, error.retryable) == (Status.REJECTED, "overloaded", True)
    assert error.retry_after_ms is not None
    assert 700 < error.retry_after_ms < 60_000
    assert take_in(desk, record("hasty", client_id="honest", timeout_ms=700)) == [], (
        "it waits behind one of theirs, not behind two"
    )


def test_the_greediest_is_told_when_there_is_no_room(desk: Admission):
    for n in range(3):
        take_in(desk, record(str(n), client_id="greedy"))
    (reply,) = take_in(desk, record("honest", client_id="other"))
    assert reply.response.request_id == "2"
    assert reply.response.error is not None
    assert reply.response.error.code == "overloaded"


def test_a_reply_topic_that_is_not_allowed_is_counted_by_its_name_and_many_made_up_ones_by_one(
    desk: Admission,
):
    for n in range(60):
        (reply,) = take_in(desk, record(f"r{n}", headers=(("kafka_replyTopic", f"made-up-{n}".encode()),)))
        assert reply.to.address.topic == "answers"
    assert counted("refused_reply_topics", topic="'made-up-0'") == 1
    assert counted("refused_reply_topics", topic="(others)") >= 40


def test_what_has_waited_too_long_is_counted_among_what_waits_no_more(desk: Admission):
    take_in(desk, record("late", timeout_ms=1000))
    assert REGISTRY.get_sample_value("searchloop_search_waiting") == 1
    (reply,) = desk.late(now_ms=NOW_MS + 2000)
    assert reply.response.status is Status.EXPIRED
    assert REGISTRY.get_sample_value("searchloop_search_waiting") == 0


def waiting() -> float | None:
    return REGISTRY.get_sample_value("searchloop_search_waiting")


def test_a_picture_is_prepared_before_its_request_waits_for_its_turn_and_texts_do_not_wait_for_it(
    desk: Admission,
):
    read = record("seen", user_query=" ", image=b"a file")
    assert take_in(desk, read) == []
    assert take_in(desk, record("text")) == []
    assert waiting() == 2
    asked = desk.next_picture()
    assert asked is not None
    assert (asked.request.request_id, asked.request.user_query, asked.request.image) == (
        "seen", "", b"a file",
    )  # fmt: skip
    assert asked.record.value is None, "the picture is not held twice"
    assert waiting() == 2
    desk.begin()
    for one in (read, record("text")):
        take_in(desk, one)
    assert desk.next_picture() == asked
    assert [r.to.record.key for r in answered(desk)] == [b"text"]
    assert desk.prepared(b"prepared", now_ms=NOW_MS + 20) == []
    (found,) = desk.take(10, heavy_too=True)
    assert (found.accepted.request.image, found.accepted.record) == (b"prepared", asked.record)


def test_a_picture_that_was_being_prepared_under_an_earlier_assignment_is_forgotten(desk: Admission):
    """It is read again: two answers would be one too many."""
    read = record("seen", image=b"a file")
    take_in(desk, read)
    assert desk.next_picture() is not None
    desk.begin()
    assert desk.prepared(b"prepared", now_ms=NOW_MS + 20) == []
    assert answered(desk) == []
    assert waiting() == 0
    take_in(desk, read)
    assert desk.next_picture() is not None


def test_what_is_said_in_place_of_a_picture_is_committed_with_its_answer(desk: Admission):
    from searcher.endings import expired  # noqa: PLC0415 any answer will do

    read = record("seen", image=b"a file")
    take_in(desk, read)
    asked = desk.next_picture()
    assert asked is not None
    (reply,) = desk.prepared(expired(asked, now_ms=NOW_MS, skew_ms=0.0), now_ms=NOW_MS + 20)
    assert desk.committable() == []
    desk.done([reply])
    assert [r.offset for r in desk.committable()] == [read.offset]


def test_a_picture_that_waits_too_long_to_be_prepared_is_told_so(desk: Admission):
    take_in(desk, record("seen", image=b"a file", timeout_ms=1000))
    (late,) = desk.late(now_ms=NOW_MS + 2000)
    assert (late.response.request_id, late.response.status) == ("seen", Status.EXPIRED)
    assert desk.next_picture() is None


def test_a_thousand_pictures_hold_a_bounded_number_of_bytes_and_texts_keep_their_places():
    desk = Admission({"answers": 2}, "answers", "main", refuse=Server._rejected)
    image, told = bytes(IMAGE_BYTES), 0
    take_in(desk, record("text", client_id="ann"))
    for n in range(1000):
        told += len(take_in(desk, record(f"{n}", image=image, client_id=f"c{n}", timeout_ms=600_000)))
        if n % 2:  # half of them are prepared meanwhile
            desk.next_picture()
            told += len(desk.prepared(image, now_ms=NOW_MS + 10))
    held = 1001 - told
    assert held * IMAGE_BYTES <= WAITING_BYTES + PICTURES_BYTES
    assert held < MOST_PICTURES
    assert "text" in [one.accepted.request.request_id for one in desk.take(500, heavy_too=False)]

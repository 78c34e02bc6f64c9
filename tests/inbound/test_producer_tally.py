"""How good each producer's events are, counted from raw records and dead letters."""

import json
from datetime import UTC, date, datetime, timedelta

from broker.records import Headers, Record
from inbound.producer_tally import MOST_PRODUCERS, OTHERS, UNNAMED, JoinWindows, ProducerTally
from schemas.producers import ProducerDay, ProducersFound

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAY = START.date()
WINDOWS = JoinWindows(click=timedelta(hours=1), purchase=timedelta(days=7))


def record(topic: str, body: object, *, at_s: float = 0, headers: Headers = ()) -> Record:
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Record(topic, 0, 7, int((START.timestamp() + at_s) * 1000), b"k", value, headers)


def an_event(topic: str, at_s: float = 0, *, written_s: float | None = None, **fields: object) -> Record:
    body = {"timestamp": START.timestamp() + at_s, "client_id": "c", "application": "shop"} | fields
    return record(topic, body, at_s=at_s if written_s is None else written_s)


def search(query_id: str, at_s: float = 0, **fields: object) -> Record:
    return an_event("searches", at_s, query_id=query_id, user_query="mug", **fields)


def act(action: str, query_id: str | None, at_s: float = 60, **fields: object) -> Record:
    named = {"action_name": action, "query_id": query_id, "object_id": "p"}
    return an_event("interactions", at_s, **named | fields)


def letter(reason: str, body: object) -> Record:
    return record("interactions.dlq", body, headers=(("dlq.reason", reason.encode()),))


def found(*records: Record, every_search: bool = True) -> ProducersFound:
    tally = ProducerTally("", WINDOWS, max_bytes=10_000)
    for one in records:
        tally.take(one)
    return tally.found(START, every_search=every_search)


def alone(*records: Record, every_search: bool = True) -> ProducerDay:
    (one,) = found(*records, every_search=every_search).producers
    return one


PLACED = {"event_attributes": {"position": {"ordinal": 3}}}


def test_interactions_are_joined_to_their_search_whichever_comes_first():
    one = alone(act("click", "q1"), search("q1"))
    assert (one.searches, one.interactions, one.named, one.joined, one.join_rate) == (1, 1, 1, 1, 1.0)
    both = found(search("q1"), act("Order Completed", "q1", at_s=3 * 86_400)).producers
    assert [(day.day, day.joined, day.join_rate) for day in both] == [
        (DAY + timedelta(days=3), 1, 1.0), (DAY, 0, None),
    ]  # fmt: skip


def test_a_query_id_is_stale_when_no_search_has_it_or_it_was_too_long_ago():
    one = alone(search("q1"), act("click", "q1", at_s=3700), act("view", "gone"), act("impression", "gone"))
    assert (one.joined, one.stale, one.join_rate) == (0, 2, 0.0)
    assert one.samples["stale"].why == "its search was 1.0 h before it"
    assert (one.samples["stale"].topic, one.samples["stale"].offset) == ("interactions", 7)


def test_of_an_interaction_whose_search_may_lie_before_what_was_read_nothing_is_said():
    early, late = act("click", "gone", at_s=60), act("click", "gone", at_s=3700)
    purchase = act("purchase", "gone", at_s=3700)
    one = alone(search("q1"), early, late, purchase, every_search=False)
    assert (one.named, one.joined, one.stale) == (3, 0, 1)
    assert alone(early, every_search=False).stale == 0
    assert alone(early).stale == 1


def test_clicks_without_position_and_interactions_without_query_id_are_counted():
    one = alone(
        act("click", None),
        act("click", None, **PLACED),
        act("click", None, object_id=None, items=[{"object_id": "p", "ordinal": 1}]),
        act("impression", None),
    )
    assert (one.clicks, one.without_position, one.unnamed, one.named, one.join_rate) == (3, 1, 3, 0, 0.0)
    assert json.loads(one.samples["without_position"].value)["action_name"] == "click"
    line = {"object_id": "p", "query_id": "q1"}
    assert alone(act("purchase", None, object_id=None, items=[line]), search("q1")).joined == 1


def test_clocks_are_compared_with_the_time_of_the_record():
    one = alone(*(search(f"q{n}", n, written_s=n + 2) for n in range(9)), search("ahead", 4000, written_s=60))
    assert (one.ahead, one.delay_median_s, one.delay_p95_s) == (1, 2.0, 2.0)
    assert "3940 s after" in one.samples["ahead"].why


def test_what_intake_has_refused_counts_by_its_letter_and_what_cannot_be_read_by_nothing_else():
    refused = {"application": "shop", "action_name": "click"}
    one = alone(
        letter("unknown_product", refused), letter("unknown_product", refused), letter("schema", refused),
        record("interactions", refused), act("dance", "q1"),
    )  # fmt: skip
    assert (one.refused, one.unknown_products, one.interactions) == (
        {"unknown_product": 2, "schema": 1},
        2,
        0,
    )
    assert set(one.samples) == {"refused: unknown_product", "refused: schema"}
    assert alone(letter("json_decode", b"\xff{")).producer == UNNAMED


def test_a_producer_is_the_source_of_its_cloudevent_else_its_application():
    body = {"timestamp": START.timestamp(), "query_id": "q", "user_query": "mug", "application": "shop"}
    envelope = {"specversion": "1.0", "id": "1", "type": "t", "source": "/app/ios", "data": body}
    named = [one.producer for one in found(
        record("searches", body), record("searches", body, headers=(("ce_source", b"/web"),)),
        record("searches", envelope), search("q", application=None),
    ).producers]  # fmt: skip
    assert named == ["/app/ios", "/web", "shop", UNNAMED]


def test_names_beyond_bounds_are_others_and_an_impossible_time_ends_nothing():
    many = [search("q", application=f"shop {n}") for n in range(MOST_PRODUCERS + 10)]
    named = {one.producer for one in found(*many).producers}
    assert len(named) == MOST_PRODUCERS + 1
    assert OTHERS in named
    odd = Record("searches", 0, 0, 10**18, b"k", search("q").value)
    assert found(odd).producers == []
    assert {one.day for one in found(search("q")).producers} == {date(2026, 11, 29)}

"""A refused event of an unknown product waits for it, and only for it."""

import json
from datetime import timedelta

from broker.dead_letters import ORIGIN, REPLAYED, dead_letter
from broker.records import Record
from schemas.rejections import Reason, Rejection
from schemas.settings import StreamSettings
from stream.known import KnownProducts
from stream.rejoining import MAX_PENDING, Pending
from stream.versions import Held
from tests.stream.builders import NOW, T0

SETTINGS = StreamSettings()


def letter(offset, *products, reason=Reason.UNKNOWN_PRODUCT, partition=0, at_ms=T0, headers=()):
    body = {
        "action_name": "purchase",
        "order_id": "o",
        "timestamp": T0,
        "client_id": "ann",
        "items": [{"product_id": p} for p in products],
    }
    raw = Record("t.interactions", partition, offset, at_ms, b"ann", json.dumps(body).encode(), headers)
    written = dead_letter(raw, Rejection(reason=reason), stage="test")
    return Record("t.interactions.dlq", partition, offset, at_ms, written.key, written.value, written.headers)


def pending(*letters, known=()):
    products = KnownProducts()
    for product in known:
        products.put(product, Held(1), [])
    found = Pending(products, SETTINGS)
    found.take(letters, NOW)
    return found


def test_it_goes_back_when_the_last_of_its_products_is_known_and_keeps_where_it_first_lay():
    held = pending(letter(0, "p1", "p2"), known=["p1"])
    assert held.due(NOW) == []
    assert (held.count, held.done()) == (1, [])
    held.known.put("p2", Held(1), [])
    (sent,) = held.due(NOW)
    assert (sent.topic, sent.key) == ("t.interactions", b"ann")
    assert dict(sent.headers) == {ORIGIN: b"t.interactions/0/0", REPLAYED: b"1"}
    assert [r.offset for r in held.done()] == [0]
    assert held.due(NOW) == []


def test_the_place_in_the_log_stays_behind_the_oldest_that_waits_of_its_partition():
    held = pending(
        letter(0, "p1"), letter(1, "p9"), letter(2, "p1"), letter(5, "p1", partition=1), known=["p1"]
    )
    assert len(held.due(NOW)) == 3
    assert [(r.partition, r.offset) for r in held.done()] == [(0, 0), (1, 5)]
    held.known.put("p9", Held(1), [])
    assert len(held.due(NOW)) == 1
    assert [r.offset for r in held.done()] == [1, 2]


def test_another_reason_and_a_second_refusal_wait_for_nothing():
    again = letter(1, "p1", headers=((REPLAYED, b"1"),))
    held = pending(letter(0, "p1", reason=Reason.SCHEMA), again, known=["p1"])
    assert held.due(NOW) == []
    assert len(held.done()) == 2


def test_it_is_given_up_after_the_window_and_stays_a_dead_letter():
    held = pending(letter(0, "p1"))
    assert held.due(NOW + SETTINGS.pending_window + timedelta(seconds=1)) == []
    assert (held.count, len(held.done())) == (0, 1)


def test_the_oldest_are_given_up_when_there_are_too_many():
    held = pending(*(letter(n, "p1") for n in range(MAX_PENDING + 3)))
    held.due(NOW)
    assert held.count == MAX_PENDING

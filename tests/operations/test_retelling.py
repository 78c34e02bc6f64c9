"""Why an event earned what it earned, and an event found by its own id, its envelope's, or its place."""

import json

import pytest
from msgspec.structs import replace

from broker.dead_letters import ORIGIN
from broker.records import Record
from inbound.envelope import agreed_id
from operations.event_names import names_event, origin
from operations.retelling import Retelling
from schemas.event_fate import Method
from schemas.events import Forget
from tests.stream.builders import DAY, MINUTE, RULES, T0, act, search

MUGS = search("q1", "mug", ["p1"])
CLICK = act("click", "p1", at=MINUTE, query_id="q1")
CART = act("add_to_cart", "p1", at=1, query_id="q1")
FORGET = Forget(event_id="f", shopper="ann", at_ms=T0 + DAY)


def told(*log, of):
    """Tell the log; return the story of the event at number ``of``."""
    retelling = Retelling(frozenset({(of, 0)}), 0, RULES)
    for offset, event in enumerate(log):
        retelling.take((offset, 0), event)
    return retelling.stories()[of, 0]


WHY = {
    "credited": ([MUGS, CLICK], 1),
    "when it came, no search": ([CLICK], 0),
    "the search that it names is known, but did not show": (
        [MUGS, act("click", "p2", at=MINUTE, query_id="q1")],
        1,
    ),
    "the search that it names is known, but": ([MUGS, act("click", "p1", at=DAY, query_id="q1")], 1),
    "a rule had placed": ([search("q1", "mug", ["p1"], placed=["p1"]), CLICK], 1),
    "a robot's: the shopper has more than 60": (
        [MUGS, *(act("click", f"p{n}", at=MINUTE + n) for n in range(2, 62)), CLICK],
        61,
    ),
    "repeated: the same engagement had been counted before, as event click-p1": (
        [MUGS, CLICK, replace(CLICK, event_id="z", at_ms=CLICK.at_ms + 1)],
        2,
    ),
    "late: its time": ([MUGS, act("click", "p2", at=30 * DAY), CLICK], 2),
    "late: the shopper has asked": ([FORGET, CLICK], 1),
    "an impression": ([act("impression", "p1")], 0),
    "a refund earns nothing": ([act("refund", "p1", order="o")], 0),
    "a search earns nothing": ([MUGS], 0),
    "changed what had been": (
        [MUGS, act("purchase", "p1", at=1, query_id="q1", order="o"), act("refund", "p1", at=2, order="o")],
        2,
    ),
    "took back 1 credits": ([MUGS, CLICK, FORGET], 2),
    "credited; the shopper has been forgotten since": ([MUGS, CLICK, FORGET], 1),
}


@pytest.mark.parametrize("why", WHY)
def test_an_event_says_why_it_earned_what_it_earned(why):
    log, of = WHY[why]
    assert told(*log, of=of).why.startswith(why)


def test_what_a_later_search_credited_is_told_as_what_it_is_now():
    story = told(CLICK, MUGS, of=0)
    assert story.contributions == []
    assert [(one.product_id, one.query, one.credit) for one in story.now] == [("p1", "mug", 1000)]
    assert [c.credit for c in told(CLICK, MUGS, of=1).contributions] == [1000]


METHODS = {
    Method.NAMED: ([MUGS, CLICK], 60.0),
    Method.SHOWN: ([MUGS, act("click", "p1", at=MINUTE)], 60.0),
    Method.TEXT: ([act("click", "p1", at=MINUTE, query_id="gone", query="mug")], None),
    Method.NONE: ([act("click", "p1", at=MINUTE)], None),
    Method.PLACED: ([search("q1", "mug", ["p1"], placed=["p1"]), CLICK], 60.0),
    Method.CART: ([MUGS, CART, act("purchase", "p1", at=DAY)], 86400.0),
    Method.TOUCHED: ([MUGS, CLICK, act("purchase", "p1", at=DAY)], 86400.0),
    Method.SESSION: ([MUGS, act("purchase", "p1", at=5 * MINUTE)], 300.0),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_line_says_by_which_rule_it_belongs_to_which_search_and_how_long_after_it(method):
    log, delay_s = METHODS[method]
    [line] = told(*log, of=len(log) - 1).now
    knows_a_search = method not in {Method.TEXT, Method.NONE}
    assert (line.method, line.delay_s, line.search) == (method, delay_s, "q1" if knows_a_search else None)
    assert (line.credit > 0) == (method not in {Method.PLACED, Method.NONE})


def test_a_search_knows_what_belongs_to_it_also_through_a_cart():
    log = [MUGS, CART, act("purchase", "p1", at=DAY), act("click", "p3")]
    story = told(*log, of=0)
    assert [(one.action.value, one.day is not None) for one in story.led_to] == [
        ("add_to_cart", True), ("purchase", True),
    ]  # fmt: skip


def record(body, headers=()):
    return Record(
        "interactions", 2, 9, 0, None, body if isinstance(body, bytes) else json.dumps(body).encode(), headers
    )


def test_an_event_is_known_by_its_own_id_its_envelopes_or_its_place():
    assert names_event(record({"event_id": "e1"}), "e1")
    assert names_event(record({"event_id": "é"}), "é")
    assert names_event(record({"a": 1}, (("ce_id", b"e1"),)), "e1")
    assert names_event(record({"id": "e1", "data": {}}), "e1")
    assert names_event(record({"id": "x", "data": {"event_id": "e1"}}), "e1")
    by_place = agreed_id(None, None, record({}))
    assert names_event(record({}), by_place)
    assert names_event(record(b"not json"), by_place)
    replayed = Record("interactions", 0, 77, 0, None, b"{}", ((ORIGIN, b"interactions/2/9"),))
    assert names_event(replayed, by_place)


def test_a_record_that_only_mentions_the_id_is_another_event():
    assert not names_event(record({"event_id": "e2", "query_id": "e1"}), "e1")
    assert not names_event(record({"id": "e1"}), "e1")
    assert not names_event(record(b"e1"), "e1")


def test_a_dead_letter_is_known_by_the_place_that_its_record_had():
    headers = tuple(
        (f"__connect.errors.{k}", v)
        for k, v in (("topic", b"interactions"), ("partition", b"2"), ("offset", b"9"))
    )
    letter = Record("interactions.dlq", 0, 0, 0, None, b"{", headers)
    assert names_event(origin(letter), agreed_id(None, None, record(b"{")))
    assert (
        origin(Record("interactions.dlq", 0, 4, 0, None, b"{", (("__connect.errors.offset", b"x"),))).offset
        == 4
    )

"""What a searcher makes of the records of the topic of rules, and that it follows them."""

import asyncio
import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.intake.strange_records import bodies, strange
from broker.producing import open_producer
from broker.records import Outgoing, Record
from broker.topics import ensure_topics
from retrieval.merchandising import SetRule
from schemas.bounds import REQUEST_BYTES
from schemas.rules import MerchandisingRule
from schemas.settings import SearcherSettings
from schemas.topics import RULES
from searcher.shop_rules import ShopRules, rule_of


def raw(rule_id: str = "r", **more: Any) -> bytes:
    return json.dumps({"rule_id": rule_id, "action": "hide", "product_ids": ["p1"], **more}).encode()


def read(value: bytes | None, key: bytes | None = b"r") -> tuple[str | None, SetRule | str | None]:
    return rule_of(Record("rules", 0, 0, 0, key, value), "main")


def test_a_record_holds_a_rule_of_this_deployment_or_takes_out_what_was_there():
    rule_id, rule = read(raw(query=" Red  MUG "))
    assert isinstance(rule, SetRule)
    assert (rule_id, rule.query, rule.product_ids) == ("r", "red mug", ("p1",))
    assert read(None) == ("r", None)
    assert read(raw(deployment="another")) == ("r", None)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"[" * 100_000,
        b'{"rule_id":"r","action":"\\ud800"}',
        raw(action="delete"),
        raw("other"),
        raw(query=""),
        raw(query="<b> </b>"),
        raw(query=5),
        raw(product_ids="p1"),
        raw(filters=[{"field": "title", "value": "x"}]),
        raw(filters=[{"field": "brand", "op": "lt", "value": "x"}]),
        raw(filters=[{"field": "price", "value": "cheap"}]),
        raw(filters=[{"field": "brand", "value": "\u200b"}]),
        raw(action="boost", boost=float("nan")),
        raw(since="0001-01-01T00:00:00Z"),
        raw(unknown="x" * REQUEST_BYTES),
    ],
)
def test_what_holds_no_rule_says_so_and_is_not_a_rule_for_every_query(value: bytes):
    rule_id, why = read(value)
    assert rule_id == "r"  # what was there is gone, as it is after a restart
    assert isinstance(why, str)
    assert why


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = st.sampled_from(sorted(MerchandisingRule.model_fields))


@given(st.dictionaries(FIELDS, ANYTHING, max_size=4), st.booleans())
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_its_fields_a_record_is_a_rule_or_says_why_not(
    fields: dict[str, Any], by_filter: bool
):
    about = {"filters": [{"field": "brand", "value": "A", **fields}]} if by_filter else {}
    for value in (raw(**fields | about), raw(filters=[fields])):
        _, found = read(value)
        assert found != "a fault of ours"


def test_a_record_without_a_readable_key_is_about_nothing():
    assert read(raw(), b"\xff")[0] is None
    assert read(raw(), None)[0] is None
    assert read(None, b"") == (None, None)


@pytest.mark.broker
async def test_the_rules_are_complete_once_all_is_read_and_follow_then(
    settings_env: Callable[..., dict[str, str]],
):
    own = SearcherSettings.load(settings_env(partitions=3))
    await ensure_topics(own)
    topic, stopping, shop = own.topic(RULES.name), asyncio.Event(), ShopRules(own)

    def hidden(query: str = "mug") -> bool:
        own = shop.rules.of(query, now=0.0)
        return own is not None and own.of("p1", {}) is not None

    async with open_producer(own) as producer, asyncio.timeout(120):

        async def send(rule_id: str, value: bytes | None) -> None:
            await producer.send(Outgoing(topic, value, key=rule_id.encode()))

        for n in range(50):
            await send(f"r{n}", raw(f"r{n}", query=f"query {n}"))
        await send("broken", b"{")
        await send("r1", None)
        following = asyncio.create_task(shop.follow(stopping))
        await shop.complete.wait()
        assert len(shop.rules) == 49
        assert (hidden("query 7"), hidden("query 1"), hidden()) == (True, False, False)
        await send("every", raw("every"))
        await send("r7", b"no rule any more")
        while not hidden() or len(shop.rules) != 49:  # noqa: ASYNC110 (another thread fulfils it)
            await asyncio.sleep(0.05)
        stopping.set()
        await following


def test_whatever_is_sent_is_a_rule_or_says_why_not_and_the_others_stand():
    rng, body = Random(3), bodies(1_700_000_000_000)[RULES.name]
    found = [strange(RULES.name, body, rng, 1_700_000_000_000) for _ in range(3000)]
    said = [read(one.value, one.key)[1] for one in found]
    assert "a fault of ours" not in said
    assert {type(one) for one in said} == {SetRule, str, type(None)}

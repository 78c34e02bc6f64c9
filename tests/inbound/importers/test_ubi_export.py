"""Ours as UBI: valid there, and the same again when it comes back."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inbound.importers.outcome import Skipped
from inbound.importers.ubi import ACTIONS, convert_event, convert_query
from inbound.importers.ubi_export import events_of, query_of
from schemas.absent import NOBODY, PROGRAM_WORDS
from schemas.events import EventAttributes, EventObject, Interaction, Item, Position, Search
from tests.inbound.importers.ubi_schema import UbiEvent, UbiQuery, is_instant

IDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=["Cc", "Zs"]),
    min_size=1,
    max_size=100,
).filter(lambda i: i not in NOBODY)
TIMES = (
    st.integers(0, 4_000_000_000_000)
    .map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))
    .map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000))
)
ENVELOPE = {
    "event_id": IDS,
    "timestamp": TIMES,
    "application": st.none() | IDS,
    "client_id": st.none() | IDS,
    "session_id": st.none() | IDS,
    "user_id": st.none() | IDS,
    "is_bot": st.none() | st.booleans(),
}
QUERIES = st.text(min_size=1, max_size=50).filter(
    lambda q: q.strip() and q.strip() not in PROGRAM_WORDS and q.encode("utf-8", "ignore").decode() == q
)
SEARCHES = st.builds(
    Search,
    **ENVELOPE,
    query_id=IDS,
    user_query=QUERIES,
    query_response_hit_ids=st.lists(IDS, max_size=5),
    generation=st.none() | st.integers(1, 99),
)
ITEMS = st.builds(
    Item,
    object_id=IDS,
    quantity=st.integers(1, 100),
    unit_price=st.none() | st.integers(0, 10**6).map(lambda minor: minor / 100),
    currency=st.none() | st.just("EUR"),
    ordinal=st.none() | st.integers(1, 200),
)
SINGLE = st.builds(
    EventAttributes,
    object=st.builds(EventObject, object_id=IDS),
    position=st.none() | st.builds(Position, ordinal=st.integers(1, 200)),
)
ACTS = {**ENVELOPE, "query_id": st.none() | IDS, "user_query": st.none() | QUERIES}
ORDERS = st.sampled_from(["purchase", "refund"])
ABOUT_ONE = st.one_of(
    st.builds(
        Interaction,
        **ACTS,
        action_name=st.sampled_from([a.value for a in set(ACTIONS.values())]),
        event_attributes=SINGLE,
    ),
    st.builds(
        Interaction,
        **ACTS,
        action_name=ORDERS,
        order_id=st.none() | IDS,
        items=st.lists(ITEMS, min_size=1, max_size=1),
    ),
)
MANY = st.builds(
    Interaction, **ACTS, action_name=ORDERS, order_id=IDS, items=st.lists(ITEMS, min_size=2, max_size=6)
)


def body_of(records):
    [(_, body)] = records
    return body


@given(SEARCHES)
def test_a_search_is_a_valid_query_record_and_comes_back_the_same(search) -> None:
    record = query_of(search)
    UbiQuery.model_validate(record)
    assert is_instant(record["timestamp"])
    assert Search.model_validate(body_of(convert_query(record))) == search


@given(ABOUT_ONE)
def test_an_interaction_with_one_product_is_a_valid_event_record_and_comes_back_the_same(interaction) -> None:
    [record] = events_of(interaction)
    UbiEvent.model_validate(record)
    assert is_instant(record["timestamp"])
    assert Interaction.model_validate(body_of(convert_event(record))) == interaction


@given(MANY)
def test_an_order_becomes_one_valid_event_per_product_and_loses_no_unit(interaction) -> None:
    records = events_of(interaction)
    for record in records:
        UbiEvent.model_validate(record)
    back = [Interaction.model_validate(body_of(convert_event(record))) for record in records]
    assert len({b.event_id for b in back}) == len({b.items[0].object_id for b in back}) == len(back)
    assert {b.order_id for b in back} == {interaction.order_id}
    assert sum(i.quantity for b in back for i in b.items) == sum(i.quantity for i in interaction.items)
    value = sum(i.quantity * (i.unit_price or 0) for i in interaction.items)
    assert sum(i.quantity * (i.unit_price or 0) for b in back for i in b.items) == pytest.approx(value)


def test_an_alias_is_exported_under_its_ubi_name() -> None:
    [record] = events_of(
        Interaction(action_name="Order Completed", timestamp=datetime.now(UTC), client_id="c", object_id="p")
    )
    assert record["action_name"] == "purchase"


def test_a_position_that_nobody_knows_is_marked_and_not_made_up() -> None:
    [record] = events_of(
        Interaction(action_name="click", timestamp=datetime.now(UTC), client_id="c", object_id="p")
    )
    assert record["event_attributes"]["position"] == {"ordinal": 0, "is_known": False}
    assert "position" not in body_of(convert_event(record, position_base=0))["event_attributes"]


@pytest.mark.parametrize("field", ["client_id", "session_id", "user_id", "query_id"])
def test_an_id_longer_than_ubi_takes_is_left_out_and_named(field) -> None:
    found = events_of(
        Interaction(action_name="click", timestamp=datetime.now(UTC), object_id="p", **{field: "x" * 101})
    )
    assert isinstance(found, Skipped)
    assert found.detail == field


@pytest.mark.parametrize(
    "broken",
    [
        {"timestamp": "2026-03-10 11:00:00"},
        {"client_id": "x" * 101},
        {"query_id": None},
        {"event_attributes": {"object": {"object_id": "p"}}},
        {"event_attributes": {"position": {}}},
        {"event_attributes": {"position": {"ordinal": "1"}}},
        {"event_attributes": {"object": {}, "position": {"ordinal": 1}}},
    ],
)
def test_the_restated_schema_can_refuse(broken) -> None:
    sound = {"action_name": "click", "timestamp": "2026-03-10T11:00:00.000Z"}
    UbiEvent.model_validate(sound)
    with pytest.raises(ValidationError):
        UbiEvent.model_validate(sound | broken)

"""Dirty records: every kind comes up, and each is faulty in exactly the way its truth says."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from schemas.events import ACTION_ALIASES, Action, Interaction, Search
from schemas.products import Product
from schemas.rejections import Reason
from schemas.settings import StreamSettings
from schemas.text import clean_text, is_placeholder
from simulator.dirt import CATALOG_DIRT, EVENT_DIRT, mangle
from simulator.shop import Shop
from simulator.shop_records import Kind

END = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODELS = {"searches": Search, "interactions": Interaction, "products": Product}


@pytest.fixture(scope="module")
def records():
    shop = Shop(3, end=END, products=600, shoppers=60, weeks=3, sessions_per_week=150, dirt_share=0.05)
    return [*shop.products(), *shop.all_events()]


def of(records, kind):
    found = [r for r in records if r.truth.kind is kind]
    assert found, kind
    return found


def parsed(records, kind):
    return [MODELS[r.topic_name].from_json(r.value) for r in of(records, kind)]


def test_every_kind_appears_with_its_reason(records):
    reasons = {d.kind: d.reason for d in (*EVENT_DIRT, *CATALOG_DIRT)} | {
        Kind.DELETED_PRODUCT: Reason.UNKNOWN_PRODUCT
    }
    for kind in Kind:
        found = {r.truth.reason for r in of(records, kind)}
        assert found == {reasons.get(kind)}


def test_the_share_of_dirt_is_the_asked_one(records):
    refused = [r for r in records if r.truth.outcome == "refused"]
    added = [r for r in records if r.truth.kind in {d.kind for d in (*EVENT_DIRT, *CATALOG_DIRT)}]
    assert 0.04 < len(added) / len(records) < 0.07
    assert len(refused) > len(added) / 2


def test_no_dirt_is_asked_none_comes():
    shop = Shop(3, end=END, products=100, shoppers=10, weeks=1, sessions_per_week=10, dirt_share=0)
    assert all(r.truth.outcome == "accepted" for r in [*shop.products(), *shop.all_events()])


def test_broken_text_is_no_json(records):
    for record in of(records, Kind.BROKEN_JSON):
        with pytest.raises(json.JSONDecodeError):
            json.loads(record.value.decode())
    for record in of(records, Kind.INVALID_UTF8):
        with pytest.raises(UnicodeDecodeError):
            record.value.decode()


def test_what_is_no_object_is_json_all_the_same(records):
    assert all(not isinstance(json.loads(r.value), dict) for r in of(records, Kind.NOT_OBJECT))


def test_wrong_types_break_the_schema_and_nothing_else_does(records):
    for record in of(records, Kind.WRONG_TYPES):
        with pytest.raises(ValidationError) as error:
            MODELS[record.topic_name].from_json(record.value)
        assert len({e["loc"][0] for e in error.value.errors()}) == 1


def test_times_are_naive_ahead_or_long_ago(records):
    settings = StreamSettings()
    assert all(m.timestamp.tzinfo is None for m in parsed(records, Kind.NAIVE_TIMESTAMP))
    assert all(m.timestamp > END + settings.max_future for m in parsed(records, Kind.FUTURE_TIMESTAMP))
    assert all(m.timestamp < END - settings.max_event_age for m in parsed(records, Kind.TOO_OLD))


def test_four_weeks_of_history_are_not_too_old():
    shop = Shop(3, end=END, products=100, shoppers=10, weeks=4, sessions_per_week=10)
    oldest = min(r.occurred_at for r in shop.all_events())
    assert oldest > END - StreamSettings().max_event_age + timedelta(days=1)


def test_nobody_and_nothing_is_said(records):
    for event in parsed(records, Kind.NO_IDENTITY):
        assert event.client_id is event.session_id is event.user_id is event.query_id is None
    for event in parsed(records, Kind.NO_PRODUCT):
        assert event.event_attributes is event.object_id is None
        assert event.items == []


def test_unknown_actions_have_no_alias(records):
    names = {event.action_name for event in parsed(records, Kind.UNKNOWN_ACTION)}
    assert not names & ({a.value for a in Action} | set(ACTION_ALIASES))


def test_versions_keys_and_sizes_are_off(records):
    assert all(json.loads(r.value)["schema_version"] > 1 for r in of(records, Kind.UNSUPPORTED_VERSION))
    for record in of(records, Kind.KEY_MISMATCH):
        assert Product.from_json(record.value).product_id.encode() != record.key
    assert all(len(r.value) > StreamSettings().max_record_bytes for r in of(records, Kind.TOO_LARGE))


def test_titles_are_blank_or_placeholders(records):
    assert all(clean_text(m.title) == "" for m in parsed(records, Kind.BLANK_TITLE))
    for message in parsed(records, Kind.PLACEHOLDER_TITLE):
        assert clean_text(message.title)
        assert is_placeholder(clean_text(message.title))


def test_mojibake_is_repaired_to_the_true_title(records):
    for record in of(records, Kind.MOJIBAKE_TITLE):
        title = Product.from_json(record.value).title
        assert title != record.truth.title
        assert clean_text(title) == record.truth.title


def test_plain_text_cannot_be_mangled():
    assert mangle("Talwyn Corvid Combi Drill") is None
    assert mangle("Fjällduk Gable Oxford Shirt") == "FjÃ¤llduk Gable Oxford Shirt"


def test_a_stale_version_follows_the_newer_one(records):
    version = {}
    for record in records:
        if record.topic_name == "products" and record.value is not None and record.truth.reason is None:
            product = Product.from_json(record.value)
            stale = version.get(product.product_id, -1) >= product.version
            assert stale == (record.truth.outcome == "ignored")
            version[product.product_id] = max(product.version, version.get(product.product_id, -1))


def test_duplicates_are_the_same_bytes_again(records):
    values = [r.value for r in records]
    assert all(values.count(r.value) >= 2 for r in of(records, Kind.DUPLICATE))


def test_unknown_and_deleted_products_are_clicked(records):
    sold = {r.key.decode() for r in records if r.topic_name == "products" and r.value is not None}
    tombstones = {r.key.decode() for r in of(records, Kind.TOMBSTONE)}
    assert all(m.event_attributes.object.object_id not in sold for m in parsed(records, Kind.UNKNOWN_PRODUCT))
    assert {m.event_attributes.object.object_id for m in parsed(records, Kind.DELETED_PRODUCT)} <= tombstones


def test_refused_reasons_are_of_the_closed_list(records):
    assert {r.truth.reason for r in records if r.truth.outcome == "refused"} <= set(Reason)

import json
from base64 import b64encode
from datetime import timedelta

import pytest

from inbound.validation import Ignored, Tombstone, validate_interaction, validate_product, validate_search
from media.addresses import FetchRules, refusal_of
from schemas.bounds import ATTRIBUTES_BYTES, HEADER_BYTES, ITEM_BYTES, LINE_MINOR, SHOWN_BYTES
from schemas.events import Action, CleanInteraction, CleanSearch
from schemas.products import CatalogProduct
from schemas.rejections import Rejection
from schemas.settings import StreamSettings
from tests.stream.builders import NOW, T0, record

SETTINGS = StreamSettings()
SEARCH = {
    "query_id": "q1",
    "user_query": "  Red\tMUG ",
    "timestamp": NOW.isoformat(),
    "client_id": "ann",
    "query_response_hit_ids": [1, "2"],
}
CLICK = {
    "action_name": "click",
    "timestamp": T0,
    "client_id": "ann",
    "query_id": "q1",
    "object_id": "p1",
    "event_id": "e1",
}
PRODUCT = {"product_id": "p1", "title": "Red mug", "version": 3}


def on_search(body, **options):
    return validate_search(record(body, **options), NOW, SETTINGS)


def on_interaction(body, settings=SETTINGS, **options):
    return validate_interaction(record(body, topic="interactions", **options), NOW, settings)


def on_product(body, key=b"p1", **options):
    return validate_product(record(body, topic="products", key=key, **options), SETTINGS)


def reason(outcome):
    assert isinstance(outcome, Rejection), outcome
    assert outcome.problems
    return outcome.reason.value


def test_a_search_is_normalised_and_its_hits_are_ids_in_rank_order():
    clean = on_search(
        {
            **SEARCH,
            "hits": [
                {"product_id": 9, "rank": 2},
                {"object_id": "8", "rank": 1},
                {"object_id": "8", "rank": 3},
            ],
        }
    )
    assert isinstance(clean, CleanSearch)
    assert (clean.query, clean.shown, clean.at_ms, clean.shopper) == ("red mug", ["8", "9"], T0, "ann")
    assert on_search(SEARCH).shown == ["1", "2"]
    assert on_search(SEARCH | {"placed": [2, 7, "2"]}).placed == ["2"]  # of what it showed


def test_an_event_without_id_gets_the_same_id_at_every_replay_and_another_elsewhere():
    assert on_search(SEARCH).event_id == on_search(SEARCH).event_id
    assert on_search(SEARCH).event_id != on_search(SEARCH, offset=8).event_id


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "not_object"),
        (b"", "json_decode"),
        (b"{", "json_decode"),
        (b"[1]", "not_object"),
        (b"null", "not_object"),
        (b'"x"', "not_object"),
        (b"\xff\xfe{}", "undecodable_text"),
        (b'{"user_query": "caf\xe9"}', "undecodable_text"),
        (b'{"user_query": "\\ud800", "query_id": "q"}', "undecodable_text"),
        (b'{"a": NaN}', "json_decode"),
        (b"[" * 5000, "json_decode"),
        (b'{"schema_version": 2}', "unsupported_version"),
        (b"{}", "schema"),
        (b'{"x": "' + b"y" * 300_000 + b'"}', "too_large"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(value, expected):
    assert reason(on_search(value)) == expected
    if expected != "schema":
        assert reason(on_interaction(value)) == expected


def test_a_body_with_a_byte_order_mark_is_read():
    assert isinstance(on_search(b"\xef\xbb\xbf" + json.dumps(SEARCH).encode()), CleanSearch)


def test_the_text_nan_is_a_text():
    assert on_search({**SEARCH, "user_query": "NaN bread"}).query == "nan bread"


@pytest.mark.parametrize("version", [1, "1", "1.4", 1.4])
def test_minor_versions_are_read(version):
    assert isinstance(on_search({**SEARCH, "schema_version": version}), CleanSearch)


def test_a_rejection_says_where_and_never_what():
    outcome = on_search({**SEARCH, "timestamp": "secret-text", "query_id": {"secret": 1}})
    assert reason(outcome) == "schema"
    assert {p.loc for p in outcome.problems} == {"timestamp", "query_id"}
    assert "secret" not in outcome.model_dump_json()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"timestamp": "2026-03-10T12:00:00"}, "naive_timestamp"),
        ({"timestamp": (NOW + timedelta(minutes=6)).isoformat()}, "future_timestamp"),
        ({"timestamp": (NOW - timedelta(days=31)).isoformat()}, "too_old"),
        ({"user_query": " \t "}, "blank_text"),
        ({"user_query": "<b></b>"}, "blank_text"),
        ({"query_id": ""}, "schema"),
        ({"query_id": "a\tb"}, "schema"),
        ({"query_id": True}, "schema"),
        ({"query_id": 1.5}, "schema"),
        ({"user_query": "undefined"}, "placeholder_text"),
        ({"query_id": "[object Object]"}, "schema"),
        ({"event_id": "a\x1f0"}, "schema"),
        ({"user_query": "\u200b\ufeff"}, "blank_text"),
    ],
)
def test_a_search_that_breaks_a_rule_is_refused(changes, expected):
    assert reason(on_search({**SEARCH, **changes})) == expected


def test_a_query_that_would_be_a_placeholder_as_a_title_is_searched():
    assert on_search({**SEARCH, "user_query": "test"}).query == "test"


def test_a_naive_timestamp_can_be_taken_as_utc():
    clean = on_interaction({**CLICK, "timestamp": "2026-03-10T12:00:00"}, StreamSettings(assume_utc=True))
    assert clean.at_ms == T0


@pytest.mark.parametrize("stamp", [T0, T0 // 1000, T0 * 1000, str(T0), "2026-03-10T13:00:00+01:00"])
def test_every_form_of_a_timestamp_means_the_same_moment(stamp):
    assert on_interaction({**CLICK, "timestamp": stamp}).at_ms == T0


def test_ubi_and_flat_forms_of_an_object_mean_the_same():
    ubi = {
        **{k: v for k, v in CLICK.items() if k != "object_id"},
        "event_attributes": {"object": {"object_id": "p1"}},
    }
    assert on_interaction(ubi) == on_interaction(CLICK)


def test_the_shopper_is_the_client_else_the_session_else_the_user_else_the_query():
    for field in ("client_id", "session_id", "user_id", "query_id"):
        ids = {"client_id": None, "session_id": None, "user_id": None, "query_id": None, field: "x"}
        assert on_interaction({**CLICK, **ids}).shopper == "x"
    assert reason(on_interaction({**CLICK, "client_id": None, "query_id": None})) == "no_identity"


def test_aliases_of_actions_are_known_and_others_are_refused():
    assert on_interaction({**CLICK, "action_name": "Order Completed"}).action is Action.PURCHASE
    assert reason(on_interaction({**CLICK, "action_name": "dance"})) == "unknown_action"


def test_a_purchase_has_lines_with_revenue_and_its_event_is_its_order():
    items = [{"product_id": 1, "quantity": 3, "unit_price": 19.99}, {"object_id": "b", "query_id": "q9"}]
    clean = on_interaction({**CLICK, "action_name": "purchase", "items": items})
    assert isinstance(clean, CleanInteraction)
    assert [(x.product_id, x.units, x.revenue_minor, x.query_id) for x in clean.lines] == [
        ("1", 3, 5997, None),
        ("b", 1, 0, "q9"),
    ]
    assert clean.order_id == "e1"


def test_what_names_no_product_and_a_refund_that_names_no_order_are_refused():
    assert reason(on_interaction({**CLICK, "object_id": None})) == "no_product"
    assert reason(on_interaction({**CLICK, "action_name": "refund"})) == "schema"


def test_bots_are_ignored():
    assert on_interaction({**CLICK, "is_bot": True}) == Ignored("bot")


def test_cloudevents_headers_give_the_id_and_must_not_contradict_it():
    bare = {k: v for k, v in CLICK.items() if k != "event_id"}
    assert on_interaction(bare, headers=[("ce_id", b"c1")]).event_id == "c1"
    assert reason(on_interaction(CLICK, headers=[("ce_id", b"c1")])) == "envelope_conflict"
    assert on_interaction(CLICK, headers=[("ce_id", b"e1")]).event_id == "e1"


def test_structured_cloudevents_are_opened():
    headers = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    envelope = {"specversion": "1.0", "id": "e1", "data": CLICK}
    assert on_interaction(envelope, headers=headers) == on_interaction(CLICK)
    assert reason(on_interaction({**envelope, "id": "e2"}, headers=headers)) == "envelope_conflict"
    assert reason(on_interaction({"specversion": "1.0", "id": "e1"}, headers=headers)) == "schema"
    assert reason(on_interaction(b"{", headers=headers)) == "json_decode"
    assert (
        reason(on_interaction({**envelope, "specversion": "2.0"}, headers=headers)) == "unsupported_version"
    )


def test_two_cloudevents_envelopes_of_one_record_must_agree():
    structured = ("content-type", b"application/cloudevents+json")
    envelope = {"specversion": "1.0", "id": "e1", "data": CLICK}
    assert on_interaction(envelope, headers=[structured, ("ce_id", b"e1")]) == on_interaction(CLICK)
    assert reason(on_interaction(envelope, headers=[structured, ("ce_id", b"e2")])) == "envelope_conflict"


def test_the_headers_of_an_envelope_must_be_readable_and_of_a_known_version():
    bare = {k: v for k, v in CLICK.items() if k != "event_id"}
    assert reason(on_interaction(bare, headers=[("ce_id", b"\xff")])) == "undecodable_text"
    assert reason(on_interaction(bare, headers=[("ce_specversion", b"0.3")])) == "unsupported_version"


def test_an_envelope_id_that_no_key_could_hold_becomes_one_that_can_and_always_the_same():
    bare = {k: v for k, v in CLICK.items() if k != "event_id"}
    ids = {
        on_interaction(bare, headers=[("ce_id", raw)], offset=n).event_id
        for raw in (b"a\x1f0", b"a\x1f1")
        for n in range(2)
    }
    assert len(ids) == 2
    assert all(found.isprintable() for found in ids)


def test_true_is_neither_a_quantity_nor_a_price_nor_a_version():
    bought = {**CLICK, "action_name": "purchase"}
    assert reason(on_interaction({**bought, "items": [{"product_id": 1, "quantity": True}]})) == "schema"
    assert reason(on_interaction({**bought, "items": [{"product_id": 1, "unit_price": True}]})) == "schema"
    assert reason(on_product({**PRODUCT, "version": True})) == "schema"
    assert reason(on_product({**PRODUCT, "version": 2**63})) == "schema"


def test_a_product_is_cleaned_and_versioned():
    clean = on_product(
        {
            **PRODUCT,
            "title": "Red&nbsp;<b>mug</b> â€“ big",
            "attributes": {"c": " a  b ", "n": 2, "l": ["x\n"]},
            "group_id": 12,
        }
    )
    assert isinstance(clean, CatalogProduct)
    assert clean.title == "Red mug \u2013 big"
    assert clean.attributes == {"c": "a b", "n": 2, "l": ["x"]}
    assert clean.group_id == "12"
    assert clean.version == 3
    assert on_product({"product_id": "p1", "title": "Mug"}, offset=42).version == 42


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("", "blank_text"),
        (" \n", "blank_text"),
        ("\u200b \u3164", "blank_text"),
        ("N/A", "placeholder_text"),
        ("--", "placeholder_text"),
    ],
)
def test_a_title_that_says_nothing_is_refused(title, expected):
    assert reason(on_product({**PRODUCT, "title": title})) == expected


def test_the_key_must_be_the_product():
    assert reason(on_product(PRODUCT, key=b"p2")) == "key_mismatch"
    assert reason(on_product(PRODUCT, key=None)) == "key_mismatch"
    assert reason(on_product(None, key=None)) == "key_mismatch"
    for no_id in (b"x" * 257, b"a\tb", b"a\n", b" ", b"undefined"):
        assert reason(on_product(None, key=no_id)) == "key_mismatch"
    assert reason(on_product({"product_id": "p2", "deleted": True})) == "key_mismatch"
    assert reason(on_product(PRODUCT, key=b"\xff")) == "undecodable_text"


def test_null_and_deleted_are_tombstones():
    assert on_product(None) == Tombstone("p1")
    assert on_product({"product_id": "p1", "deleted": True}) == Tombstone("p1")
    assert on_product({**PRODUCT, "deleted": "true"}) == Tombstone("p1")
    assert isinstance(on_product({**PRODUCT, "deleted": False}), CatalogProduct)
    assert reason(on_product({"product_id": True, "deleted": True}, key=b"True")) == "schema"


def ids(total, each):
    """Return different ids of so many bytes together."""
    full = [f"{n:0{each}d}" for n in range(total // each)]
    return [*full, *(["x" * (total % each)] if total % each else [])]


def test_the_ids_of_a_search_are_bounded_together():
    assert isinstance(on_search({**SEARCH, "query_response_hit_ids": ids(SHOWN_BYTES, 256)}), CleanSearch)
    outcome = on_search({**SEARCH, "query_response_hit_ids": ids(SHOWN_BYTES + 1, 256)})
    assert (reason(outcome), outcome.problems[0].loc) == ("schema", "query_response_hit_ids")
    hits = [{"object_id": i, "rank": n} for n, i in enumerate(ids(SHOWN_BYTES + 1, 256), start=1)]
    assert on_search({**SEARCH, "hits": hits}).problems[0].loc == "hits"


def test_the_ids_of_a_purchase_are_bounded_together():
    bought = {**CLICK, "action_name": "purchase"}
    assert isinstance(
        on_interaction({**bought, "items": [{"object_id": i} for i in ids(ITEM_BYTES, 128)]}),
        CleanInteraction,
    )
    outcome = on_interaction({**bought, "items": [{"object_id": i} for i in ids(ITEM_BYTES + 1, 128)]})
    assert (reason(outcome), outcome.problems[0].loc) == ("schema", "items")


def test_a_line_is_worth_what_sums_of_64_bits_can_hold():
    bought = {**CLICK, "action_name": "purchase"}
    dearest = {"object_id": 1, "unit_price": LINE_MINOR / 100 / 1000, "quantity": 1000}
    assert on_interaction({**bought, "items": [dearest]}).lines[0].revenue_minor == LINE_MINOR
    outcome = on_interaction({**bought, "items": [{"object_id": 1}, {**dearest, "quantity": 1001}]})
    assert (reason(outcome), outcome.problems[0].loc) == ("schema", "items.1.unit_price")


def test_the_attributes_of_a_product_are_bounded_together():
    assert isinstance(
        on_product({**PRODUCT, "attributes": {"a": "x" * (ATTRIBUTES_BYTES - 8)}}), CatalogProduct
    )
    outcome = on_product({**PRODUCT, "attributes": {"a": "x" * (ATTRIBUTES_BYTES - 7)}})
    assert (reason(outcome), outcome.problems[0].loc) == ("schema", "attributes")


def test_the_word_undefined_is_nobody_and_the_next_id_counts():
    nobody = {**CLICK, "client_id": "undefined", "session_id": "s1"}
    assert on_interaction(nobody).shopper == "s1"
    assert reason(on_interaction({**nobody, "session_id": "null", "query_id": None})) == "no_identity"
    assert on_interaction({**CLICK, "action_name": "purchase", "order_id": "undefined"}).order_id == "e1"
    assert reason(on_interaction({**CLICK, "action_name": "refund", "order_id": "None"})) == "schema"
    assert on_interaction({**CLICK, "event_id": "NaN"}).event_id != "NaN"
    assert on_interaction({**CLICK, "user_query": "[object Object]"}).query is None
    assert reason(on_interaction({**CLICK, "object_id": "null"})) == "no_product"


ENVELOPE = {"specversion": "1.0", "id": "e1", "source": "/shop", "type": "shop.click", "data": CLICK}


def test_a_structured_envelope_is_known_by_its_content_alone():
    assert on_interaction(ENVELOPE) == on_interaction(CLICK)
    assert reason(on_interaction({**ENVELOPE, "id": "e2"})) == "envelope_conflict"
    assert reason(on_interaction({**ENVELOPE, "specversion": "2.0"})) == "unsupported_version"
    assert reason(on_interaction({**ENVELOPE, "data": None})) == "schema"
    assert on_interaction({**CLICK, "note": {"specversion": "9"}}) == on_interaction(CLICK)


def test_the_data_of_an_envelope_may_be_base64_or_text():
    without = {k: v for k, v in ENVELOPE.items() if k != "data"}
    encoded = b64encode(json.dumps(CLICK).encode()).decode()
    assert on_interaction({**without, "data_base64": encoded}) == on_interaction(CLICK)
    assert on_interaction({**ENVELOPE, "data": json.dumps(CLICK)}) == on_interaction(CLICK)
    assert reason(on_interaction({**without, "data_base64": "%"})) == "schema"
    assert reason(on_interaction({**without, "data_base64": b64encode(b"[]").decode()})) == "not_object"


def test_an_event_without_time_takes_that_of_its_envelope():
    timeless = {k: v for k, v in CLICK.items() if k != "timestamp"}
    when = NOW.isoformat()
    assert on_interaction({**ENVELOPE, "data": timeless, "time": when}).at_ms == T0
    assert on_interaction({**ENVELOPE, "data": {**timeless, "timestamp": ""}, "time": when}).at_ms == T0
    assert on_interaction(timeless, headers=[("ce_time", when.encode())]).at_ms == T0
    assert on_interaction({**ENVELOPE, "time": "2026-01-01T00:00:00Z"}).at_ms == T0
    assert reason(on_interaction({**ENVELOPE, "data": timeless})) == "schema"


def test_an_envelope_without_data_deletes_a_product_when_its_type_says_so():
    empty = {"specversion": "1.0", "id": "e1", "source": "/shop"}
    for kind in ("shop.product.deleted", "com.shop.ProductRemoved.removed", "product_delete"):
        assert on_product({**empty, "type": kind}) == Tombstone("p1")
    assert reason(on_product({**empty, "type": "shop.product.created"})) == "schema"
    assert reason(on_product({**empty, "type": "shop.product.deleted"}, key=None)) == "key_mismatch"
    assert on_product({**empty, "type": "t", "data": {"product_id": "p1", "deleted": True}}) == Tombstone(
        "p1"
    )
    assert on_product(None, headers=[("ce_type", b"shop.product.deleted")]) == Tombstone("p1")


def test_a_header_of_an_envelope_is_bounded():
    bare = {k: v for k, v in CLICK.items() if k != "event_id"}
    assert isinstance(on_interaction(bare, headers=[("ce_id", b"x" * HEADER_BYTES)]), CleanInteraction)
    assert reason(on_interaction(bare, headers=[("ce_id", b"x" * (HEADER_BYTES + 1))])) == "too_large"


@pytest.mark.parametrize(
    ("image", "uri"),
    [
        (None, None),
        ({"uri": None}, None),
        ({"uri": ""}, None),
        ({"uri": " \t "}, None),
        ({"uri": "https://cdn.example/" + "a" * 3000}, "https://cdn.example/" + "a" * 80 + " ..."),
        ({"uri": "data:image/png;base64," + "A" * 90_000}, "data:image/png;base64," + "A" * 78 + " ..."),
        ({"uri": "file:///etc/passwd", "sha256": "AB" * 32}, "file:///etc/passwd"),
        ({"uri": "https://cdn.example/a b.jpg", "sha256": " "}, "https://cdn.example/a b.jpg"),
    ],
)
def test_whatever_its_picture_s_address_holds_a_product_is_taken(image: object, uri: str | None):
    found = on_product(PRODUCT | {"image": image})
    assert isinstance(found, CatalogProduct)
    assert (found.title, found.image and found.image.uri) == ("Red mug", uri)
    assert CatalogProduct.from_json(found.to_json()) == found
    if uri is not None:
        hosts = FetchRules(hosts=("cdn.example",))
        assert refusal_of(uri, hosts) in {"no address of a host", "a scheme other than https"}


def test_a_picture_of_another_form_than_the_contract_s_is_refused_by_its_field():
    for image in ("https://cdn.example/a.jpg", [], {}, {"url": "a"}, {"uri": 5}, {"uri": "a", "sha256": "b"}):
        found = on_product(PRODUCT | {"image": image})
        assert reason(found) == "schema"
        assert found.problems[0].loc.startswith("image")

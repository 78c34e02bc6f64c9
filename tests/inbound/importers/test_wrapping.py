"""Records within records: the forms in which others send or keep many at once."""

import json
from collections.abc import Callable

import pytest

from commands.import_ import CONVERTERS
from inbound.importers.outcome import Batch, Body, Skipped
from schemas.absent import NOBODY, PROGRAM_WORDS
from schemas.rejections import Rejection
from tests.inbound.importers.lines import convert_lines

AT = "2026-03-10T11:00:00Z"
SEGMENT = {
    "type": "track",
    "event": "Product Clicked",
    "anonymousId": "a",
    "timestamp": AT,
    "properties": {"product_id": "p"},
}
ALGOLIA = {
    "eventType": "click",
    "eventName": "x",
    "userToken": "u",
    "timestamp": 1_773_140_400_000,
    "objectIDs": ["p"],
}
GOOGLE = {
    "eventType": "detail-page-view",
    "visitorId": "v",
    "eventTime": AT,
    "productDetails": [{"product": {"id": "p"}}],
}
UBI = {
    "action_name": "click",
    "client_id": "c",
    "timestamp": AT,
    "event_attributes": {"object": {"object_id": "p"}},
}
QUERY = {"user_query": "mug", "query_id": "q", "client_id": "c", "timestamp": AT}
GA4 = {
    "event_name": "select_item",
    "user_pseudo_id": "u",
    "event_timestamp": "1773140400000000",
    "items": [{"item_id": "p"}],
}


# A record of this product and client in every format whose records have both.
NAMING: dict[str, Callable[[object, object], Body]] = {
    "segment": lambda product, client: (
        SEGMENT | {"anonymousId": client, "properties": {"product_id": product}}
    ),
    "algolia": lambda product, client: ALGOLIA | {"userToken": client, "objectIDs": [product]},
    "google": lambda product, client: (
        GOOGLE | {"visitorId": client, "productDetails": [{"product": {"id": product}}]}
    ),
    "ubi-events": lambda product, client: (
        UBI | {"client_id": client, "event_attributes": {"object": {"object_id": product}}}
    ),
    "ga4": lambda product, client: GA4 | {"user_pseudo_id": client, "items": [{"item_id": product}]},
}


def test_every_format_has_a_record_here() -> None:
    assert CONVERTERS.keys() == NAMING.keys() | {"ubi-queries"}


def converted(form: str, record: object):
    [outcome] = convert_lines([json.dumps(record).encode()], CONVERTERS[form])
    return outcome


@pytest.mark.parametrize(
    ("form", "single", "wrapped"),
    [
        (
            "segment",
            SEGMENT,
            {"batch": [SEGMENT, SEGMENT | {"messageId": "m2"}], "messageId": "of the body", "sentAt": AT},
        ),
        ("algolia", ALGOLIA, {"events": [ALGOLIA, ALGOLIA | {"eventName": "y"}]}),
        ("google", GOOGLE, {"userEvents": [GOOGLE, GOOGLE | {"visitorId": "w"}]}),
        (
            "google",
            GOOGLE,
            {"inputConfig": {"userEventInlineSource": {"userEvents": [GOOGLE, GOOGLE | {"visitorId": "w"}]}}},
        ),
        (
            "ubi-events",
            UBI,
            {
                "took": 1,
                "hits": {
                    "total": 2,
                    "hits": [{"_source": UBI}, {"_id": "2", "_source": UBI | {"client_id": "d"}}],
                },
            },
        ),
        (
            "ubi-queries",
            QUERY,
            {"hits": {"hits": [{"_source": QUERY}, {"_source": QUERY | {"query_id": "r"}}]}},
        ),
    ],
)
def test_a_line_with_several_records_is_all_of_them(form, single, wrapped) -> None:
    [(topic, alone)] = converted(form, single).result
    found = converted(form, wrapped).result
    assert [t for t, _ in found] == [topic, topic]
    assert len({body["event_id"] for _, body in found}) == 2
    assert {k: v for k, v in found[0][1].items() if k != "event_id"} == {
        k: v for k, v in alone.items() if k != "event_id"
    }


@pytest.mark.parametrize(
    ("form", "wrapped", "inner"),
    [
        ("ubi-events", {"_index": "ubi_events", "_id": "7", "_source": UBI}, UBI),
        ("ubi-queries", {"_index": "ubi_queries", "_source": QUERY}, QUERY),
        ("google", {"userEvent": GOOGLE}, GOOGLE),
        ("ga4", {"client_id": "u", "events": [GA4]}, GA4),
    ],
)
def test_a_record_in_an_envelope_of_its_own_is_taken_out(form, wrapped, inner) -> None:
    [(_, found)], [(_, alone)] = converted(form, wrapped).result, converted(form, inner).result
    assert found | {"event_id": ""} == alone | {"event_id": ""}


@pytest.mark.parametrize("form", CONVERTERS)
@pytest.mark.parametrize("within", ["rows", "docs", "messages"])
def test_what_says_nothing_of_what_happened_is_refused_with_a_hint_and_not_skipped(form, within) -> None:
    inner = QUERY if form == "ubi-queries" else NAMING[form]("p", "c")
    found = converted(form, {within: [inner]}).result
    assert isinstance(found, Rejection)
    assert "wrapped" in found.problems[0].message


def test_parts_that_say_nothing_we_use_are_counted_beside_a_line_that_is_taken() -> None:
    found = converted("segment", {"batch": [SEGMENT, {"type": "page", "name": "Home"}, {"type": "identify"}]})
    assert [topic for topic, _ in found.result] == ["interactions"]
    assert [part.detail for part in found.skipped] == ["page", "identify"]
    assert isinstance(converted("segment", {"batch": [{"type": "page"}]}).result, Skipped)
    assert isinstance(converted("segment", {"batch": []}).result, Skipped)


@pytest.mark.parametrize("broken", ["text", None, 7, [], {"properties": {}}])
def test_one_part_that_cannot_be_read_refuses_its_line_and_says_which(broken) -> None:
    found = converted("segment", {"batch": [SEGMENT, broken]}).result
    assert isinstance(found, Rejection)
    assert found.problems[0].loc.startswith("1")


def test_a_mixed_dump_of_ubi_is_told_apart_by_what_only_one_of_them_has() -> None:
    event = UBI | {"user_query": "mug", "query_id": "q"}
    assert converted("ubi-queries", event).result == Skipped("other_kind", "event click")
    assert converted("ubi-events", QUERY).result == Skipped("other_kind", "query")
    assert not isinstance(CONVERTERS["ubi-queries"](QUERY), Batch | Skipped | Rejection)
    assert isinstance(converted("ubi-events", {"index": {"_index": "ubi_events"}}).result, Skipped)


@pytest.mark.parametrize("form", NAMING)
def test_a_whole_number_with_a_point_is_that_number_as_any_id(form) -> None:
    [(_, body)] = converted(form, NAMING[form](12345.0, 7.0)).result
    assert "12345.0" not in json.dumps(body)
    assert body["client_id"] == 7
    [(_, broken)] = converted(form, NAMING[form](12.5, 7)).result
    assert "12.5" in json.dumps(broken)  # intake refuses it, with words


@pytest.mark.parametrize("name", ["query_response_hit_ids", "query_response_objects_ids"])
def test_a_whole_number_with_a_point_is_that_number_among_what_was_shown(name) -> None:
    [(_, body)] = converted(
        "ubi-queries", QUERY | {"query_response_hit_ids": [], name: [12345.0, "7.0", 8, 2.5]}
    ).result
    assert body["query_response_hit_ids"] == [12345, "7.0", 8, 2.5]  # intake refuses the last one, with words


@pytest.mark.parametrize("form", NAMING)
@pytest.mark.parametrize("word", sorted(NOBODY))
def test_a_word_of_a_program_names_nobody_and_nothing(form, word) -> None:
    assert isinstance(converted(form, NAMING[form](word, "c")).result, Skipped)
    [(_, body)] = converted(form, NAMING[form]("p", f" {word} ")).result
    assert "client_id" not in body


@pytest.mark.parametrize("word", [*sorted(PROGRAM_WORDS), "", "  "])
def test_a_word_of_a_program_is_no_query_and_no_currency(word) -> None:
    assert converted("ubi-queries", QUERY | {"user_query": word}).result == Skipped("no_query")
    search = GA4 | {
        "event_name": "view_search_results",
        "event_params": [{"key": "search_term", "value": {"string_value": word}}],
    }
    assert converted("ga4", search).result == Skipped("no_query")
    bought = {"type": "track", "event": "Order Completed", "anonymousId": "a", "timestamp": AT}
    order = {
        "order_id": "o",
        "currency": word,
        "products": [{"product_id": "p", "price": 2.5, "currency": word}],
    }
    [(_, body)] = converted("segment", bought | {"properties": order}).result
    assert body["items"] == [{"object_id": "p", "unit_price": 2.5}]

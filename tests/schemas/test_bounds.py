"""Every bound holds.

What reaches it is taken, one more is refused, and what is taken fits what comes later.
"""

import json
from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from retrieval.rows import MAX_BYTES
from schemas import bounds as b
from schemas.base import Id, Message, Timestamp
from schemas.events import Interaction, Search
from schemas.formula import FormulaError, parse
from schemas.judged_queries import RatedQuery
from schemas.products import Product
from schemas.releases import DeploymentCommand, LivePointer, Release
from schemas.rules import MerchandisingRule
from schemas.search import SearchRequest
from schemas.training import Trigger

WIDE = "\U0001f455"  # a character of four bytes
SEARCH = {"query_id": "q", "user_query": "mug", "timestamp": 1_700_000_000}
BOUGHT = {"action_name": "purchase", "timestamp": 1_700_000_000, "client_id": "ann"}
PRODUCT = {"product_id": "p", "title": "Mug"}
REQUEST = {"request_id": "r", "user_query": "mug"}
TRIGGER = {"trigger_id": "t", "requested_at": 1_700_000_000}
RULE = {"rule_id": "r", "action": "boost", "boost": 0.5, "product_ids": ["p"], "at": "2026-03-10T12:00:00Z"}
JUDGED = {"name": "house", "query": "mug", "ratings": {"p": 1}, "at": "2026-03-10T12:00:00Z"}
COMMAND = {"command_id": "c", "action": "promote", "at": "2026-03-10T12:00:00Z"}
RELEASE = {
    "generation": 1,
    "model": "m",
    "model_sha256": "0",
    "dim": 3,
    "collection": "c",
    "state": "released",
    "at": COMMAND["at"],
}
POINTER = {"sequence": 1, "live": RELEASE, "cause": "first", "at": COMMAND["at"]}
CANDIDATE = {"model": "m", "model_sha256": "0", "dim": 3}


def item(**fields):
    return {"items": [{"object_id": "p", **fields}]}


def lists(total):
    """Return conditions with so many values in all."""
    return [
        {"field": "brand", "op": "in", "value": ["x"] * n}
        for n in [b.FILTER_LIST] * (total // b.FILTER_LIST) + [total % b.FILTER_LIST]
        if n
    ]


# kind, a good body, what stands at the bound, what is beyond it
CASES: list[tuple[type[Message], dict[str, object], dict[str, object], dict[str, object]]] = [
    (Search, SEARCH, {"query_id": WIDE * b.ID_CHARS}, {"query_id": "x" * (b.ID_CHARS + 1)}),
    (Search, SEARCH, {"query_id": b.ID_GREATEST}, {"query_id": b.ID_GREATEST + 1}),
    (Search, SEARCH, {"query_id": b.ID_LEAST}, {"query_id": b.ID_LEAST - 1}),
    (Search, SEARCH, {"query_id": 7}, {"query_id": 10**2000}),
    (Search, SEARCH, {"event_id": "x" * b.EVENT_ID_CHARS}, {"event_id": "x" * (b.EVENT_ID_CHARS + 1)}),
    (Search, SEARCH, {"user_query": WIDE * b.QUERY_CHARS}, {"user_query": "x" * (b.QUERY_CHARS + 1)}),
    (
        Search,
        SEARCH,
        {"query_response_hit_ids": ["p"] * b.SHOWN_IDS},
        {"query_response_hit_ids": ["p"] * (b.SHOWN_IDS + 1)},
    ),
    (
        Search,
        SEARCH,
        {"hits": [{"object_id": 1, "rank": b.RANK}]},
        {"hits": [{"object_id": 1, "rank": b.RANK + 1}]},
    ),
    (
        Search,
        SEARCH,
        {"hits": [{"object_id": 1, "rank": 1}] * b.SHOWN_IDS},
        {"hits": [{"object_id": 1, "rank": 1}] * (b.SHOWN_IDS + 1)},
    ),
    (
        Interaction,
        BOUGHT,
        {"items": [{"object_id": 1}] * b.ITEMS},
        {"items": [{"object_id": 1}] * (b.ITEMS + 1)},
    ),
    (Interaction, BOUGHT, item(quantity=b.QUANTITY), item(quantity=b.QUANTITY + 1)),
    (Interaction, BOUGHT, item(unit_price=b.PRICE), item(unit_price=b.PRICE + 1)),
    (Interaction, BOUGHT, item(ordinal=b.RANK), item(ordinal=b.RANK + 1)),
    (Product, PRODUCT, {"product_id": b.ID_GREATEST}, {"product_id": 10**2000}),
    (Product, PRODUCT, {"title": WIDE * b.TITLE_CHARS}, {"title": "x" * (b.TITLE_CHARS + 1)}),
    (
        Product,
        PRODUCT,
        {"description": "x" * b.DESCRIPTION_CHARS},
        {"description": "x" * (b.DESCRIPTION_CHARS + 1)},
    ),
    (Product, PRODUCT, {"brand": "x" * b.BRAND_CHARS}, {"brand": "x" * (b.BRAND_CHARS + 1)}),
    (
        Product,
        PRODUCT,
        {"category_path": ["x"] * b.CATEGORIES},
        {"category_path": ["x"] * (b.CATEGORIES + 1)},
    ),
    (Product, PRODUCT, {"variant_ids": ["x"] * b.VARIANTS}, {"variant_ids": ["x"] * (b.VARIANTS + 1)}),
    (Product, PRODUCT, {"price": b.PRICE}, {"price": b.PRICE + 1}),
    (Product, PRODUCT, {"version": b.VERSION}, {"version": b.VERSION + 1}),
    (SearchRequest, REQUEST, {"facets": ["brand"] * b.FACETS}, {"facets": ["brand"] * (b.FACETS + 1)}),
    (SearchRequest, REQUEST, {"k": b.K}, {"k": b.K + 1}),
    (SearchRequest, REQUEST, {"offset": b.OFFSET}, {"offset": b.OFFSET + 1}),
    (SearchRequest, REQUEST, {"timeout_ms": b.TIMEOUT_MS}, {"timeout_ms": b.TIMEOUT_MS + 1}),
    (SearchRequest, REQUEST, {"filters": lists(b.FILTER_VALUES)}, {"filters": lists(b.FILTER_VALUES + 1)}),
    (SearchRequest, REQUEST, {"filters": lists(1) * b.FILTERS}, {"filters": lists(1) * (b.FILTERS + 1)}),
    (
        SearchRequest,
        REQUEST,
        {"filters": [{"field": "brand", "value": "x" * b.FILTER_CHARS}]},
        {"filters": [{"field": "brand", "value": "x" * (b.FILTER_CHARS + 1)}]},
    ),
    (
        SearchRequest,
        REQUEST,
        {"filters": [{"field": "attributes.".ljust(b.FILTER_CHARS, "x"), "value": True}]},
        {"filters": [{"field": "attributes.".ljust(b.FILTER_CHARS + 1, "x"), "value": True}]},
    ),
    (
        SearchRequest,
        REQUEST,
        {"filters": [{"field": "brand", "op": "in", "value": ["x" * b.FILTER_CHARS]}]},
        {"filters": [{"field": "brand", "op": "in", "value": ["x" * (b.FILTER_CHARS + 1)]}]},
    ),
    (
        Trigger,
        TRIGGER,
        {"params": {"x" * b.NAME_CHARS: b.EXACT_INTEGER}},
        {"params": {"x" * (b.NAME_CHARS + 1): 1}},
    ),
    (
        Trigger,
        TRIGGER,
        {"params": {str(n): n for n in range(b.PARAMS)}},
        {"params": {str(n): n for n in range(b.PARAMS + 1)}},
    ),
    (
        Trigger,
        TRIGGER,
        {"params": {"a": "x" * b.REASON_CHARS}},
        {"params": {"a": "x" * (b.REASON_CHARS + 1)}},
    ),
    (
        DeploymentCommand,
        COMMAND,
        {"target_generation": b.EXACT_INTEGER},
        {"target_generation": b.EXACT_INTEGER + 1},
    ),
    (MerchandisingRule, RULE, {"product_ids": ["p"] * b.RULE_IDS}, {"product_ids": ["p"] * (b.RULE_IDS + 1)}),
    (MerchandisingRule, RULE, {"query": WIDE * b.QUERY_CHARS}, {"query": "x" * (b.QUERY_CHARS + 1)}),
    (MerchandisingRule, RULE, {"filters": lists(b.FILTER_VALUES)}, {"filters": lists(b.FILTER_VALUES + 1)}),
    (MerchandisingRule, RULE, {"reason": "x" * b.REASON_CHARS}, {"reason": "x" * (b.REASON_CHARS + 1)}),
    (
        RatedQuery,
        JUDGED,
        {"ratings": {f"p{n}": 1 for n in range(b.RATINGS)}},
        {"ratings": {f"p{n}": 1 for n in range(b.RATINGS + 1)}},
    ),
    (RatedQuery, JUDGED, {"ratings": {"p": b.RELEVANCE}}, {"ratings": {"p": b.RELEVANCE + 1}}),
    (RatedQuery, JUDGED, {"ratings": {"p": 0}}, {"ratings": {"p": -0.1}}),
    (RatedQuery, JUDGED, {"ratings": {"x" * b.ID_CHARS: 1}}, {"ratings": {"x" * (b.ID_CHARS + 1): 1}}),
    (RatedQuery, JUDGED, {"name": "x" * 40}, {"name": "x" * 41}),
    (MerchandisingRule, RULE, {"boost": b.BOOST}, {"boost": b.BOOST + 0.001}),
    (MerchandisingRule, RULE, {"boost": 1e-9}, {"boost": 0}),
    (Release, RELEASE, {"generation": b.EXACT_INTEGER}, {"generation": b.EXACT_INTEGER + 1}),
    (Release, RELEASE, {"generation": 0}, {"generation": -1}),
    (LivePointer, POINTER, {"sequence": b.EXACT_INTEGER}, {"sequence": 10**400}),
    (LivePointer, POINTER, {"sequence": 0}, {"sequence": -1}),
    (DeploymentCommand, COMMAND, {"reason": "x" * b.REASON_CHARS}, {"reason": "x" * (b.REASON_CHARS + 1)}),
    (
        DeploymentCommand,
        COMMAND,
        {"candidate": {**CANDIDATE, "model": "x" * b.PATH_CHARS}},
        {"candidate": {**CANDIDATE, "model": "x" * (b.PATH_CHARS + 1)}},
    ),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_what_reaches_a_bound_is_taken_and_one_more_is_refused(case):
    kind, good, reached, beyond = CASES[case]
    message = kind.from_json(json.dumps(good | reached).encode())
    assert kind.from_json(message.to_json()) == message
    with pytest.raises(ValidationError) as refused:
        kind.from_json(json.dumps(good | beyond).encode())
    assert {str(e["loc"][0]) for e in refused.value.errors()} == set(beyond)


@pytest.mark.parametrize("zone", ["Z", "+14:00", "-14:00"])
def test_a_time_of_any_year_that_is_taken_can_be_written_in_every_zone(zone):
    read = TypeAdapter[datetime](Timestamp).validate_python
    for year in (b.FIRST_YEAR, b.LAST_YEAR):
        for day in ("01-01T00:00:00", "12-31T23:59:59"):
            assert read(f"{year}-{day}{zone}").astimezone(UTC).timestamp()
    for year in (1, b.FIRST_YEAR - 1, b.LAST_YEAR + 1):
        with pytest.raises(ValidationError):
            read(f"{year:04d}-06-01T00:00:00{zone}")


def test_the_greatest_epoch_number_is_of_the_last_year():
    read = TypeAdapter[datetime](Timestamp).validate_python
    assert (read(b.LAST_EPOCH).year, read(b.FIRST_EPOCH).year) == (b.LAST_YEAR, b.FIRST_YEAR)
    for beyond in (b.LAST_EPOCH + 10**9, b.FIRST_EPOCH - 10**9):
        with pytest.raises(ValidationError):
            read(beyond)


def test_an_id_that_is_taken_fits_the_index():
    longest = TypeAdapter[str](Id).validate_python(WIDE * b.ID_CHARS)
    assert len(longest.encode()) == b.ID_BYTES == MAX_BYTES["product_id"]


def test_a_formula_nests_as_deep_as_its_bound():
    deepest = "-" * b.FORMULA_DEPTH + "1"
    assert repr(parse(deepest, set())).count("Call") == b.FORMULA_DEPTH
    for beyond in (
        "-" + deepest,
        "1" + "+1" * (b.FORMULA_DEPTH + 1),
        "-" * (b.FORMULA_CHARS - 1) + "1",
        "-" * 1000 + "1",
    ):
        with pytest.raises(FormulaError):
            parse(beyond, set())

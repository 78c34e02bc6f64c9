"""The description of the API, held to what the API does."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx

from api.description import ASKED, CLICK, PRODUCT, SEARCHED, SEEN, description
from api.judging import RecordJudge
from api.operator_description import RULE, WISHES
from api.posted import BEACON_TYPES, POSTED_TYPES, Posted
from api.wishes import wish_of
from media.images import prepare
from schemas.operator_http import RuleWish
from schemas.search import SearchRequest
from schemas.settings import ApiSettings
from tests.api.whole_application import whole_application

METHODS = ("get", "post", "put", "delete", "patch")
APP = whole_application()


def values_of(name: str, within: Any) -> Iterator[Any]:
    if isinstance(within, dict):
        yield from (value for key, value in within.items() if key == name)
        within = list(within.values())
    if isinstance(within, list):
        for part in within:
            yield from values_of(name, part)


async def page(path: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://here") as client:
        return await client.request(method, path)


def address(path: str, operations: dict[str, Any]) -> str:
    """Return an address of a path: its parts as in the examples."""
    parts = {
        part["name"]: part["example"]
        for operation in operations.values()
        for part in operation.get("parameters", ())
        if part["in"] == "path"
    }
    return path.format_map(parts)


async def test_every_route_of_the_description_exists_and_takes_no_other_method():
    for path, operations in description()["paths"].items():
        for method in set(METHODS) - set(operations):
            said = await page(address(path, operations), method.upper())
            assert said.status_code == 405, (method, path)
    said = json.loads((await page("/openapi.json")).text)
    assert said == json.loads(json.dumps(description()))
    assert {"/v1/search", "/v1/search:batch", "/v1/events", "/v1/events:validate"} < set(said["paths"])


def test_every_reference_is_in_it_and_every_content_type_that_is_taken():
    named = {ref.rpartition("/")[2] for ref in values_of("$ref", description())}
    assert named <= set(description()["components"]["schemas"])
    assert {"SearchRequest", "SearchResponse", "Interaction", "Product", "RecordsAnswer", "ApiError"} <= named
    taken = description()["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    assert set(taken) == POSTED_TYPES | BEACON_TYPES


def test_the_examples_of_what_operators_ask_for_are_good():
    for path, _, kind, example in WISHES:
        assert wish_of(json.dumps(example).encode(), kind) == kind.model_validate(example), path
    assert isinstance(wish_of(json.dumps(RULE).encode(), RuleWish), RuleWish)


def test_the_examples_are_good():
    judge = RecordJudge(ApiSettings(), str, datetime(2026, 11, 30, 12, tzinfo=UTC))
    for example in (CLICK, SEARCHED):
        assert judge.event(0, Posted(json.dumps(example).encode())).result.status == "accepted"
    assert judge.product(0, Posted(json.dumps(PRODUCT).encode())).result.status == "accepted"
    assert SearchRequest.model_validate({"request_id": "r", **ASKED}).k == 2
    assert isinstance(prepare(SearchRequest.model_validate({"request_id": "r", **SEEN}).image or b""), bytes)


async def test_the_page_names_every_route_and_loads_nothing_from_anywhere():
    shown = await page("/docs")
    assert shown.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert all(f" {path}</code>" in shown.text for path in description()["paths"])
    assert re.findall(r"https?://\S+|<script|<link|@import|src=", shown.text) == []

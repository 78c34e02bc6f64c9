"""What the API takes and says, as OpenAPI 3.1: made from the models that judge and answer. Pure."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.bodies import JSON_TYPES
from api.describing import BARE, POST, operation, parameter, part_of_path, ref
from api.judging import FORMATS
from api.operator_description import OPERATORS_SAID, OPERATORS_TAKEN, operator_paths
from api.posted import BEACON_TYPES, LINES, POSTED_TYPES
from api.roles import ROLES
from api.search_forms import PARAMETERS
from schemas.events import Interaction, Search
from schemas.http import ApiError, RecordsAnswer, SearchBatch, SearchBatchAnswer
from schemas.products import Product
from schemas.search import SearchRequest, SearchResponse

_TAKEN: tuple[type[BaseModel], ...] = (
    SearchRequest,
    SearchBatch,
    Search,
    Interaction,
    Product,
    *OPERATORS_TAKEN,
)
_SAID: tuple[type[BaseModel], ...] = (
    SearchResponse,
    SearchBatchAnswer,
    RecordsAnswer,
    ApiError,
    *OPERATORS_SAID,
)
CLICK = {
    "event_id": "e1",
    "action_name": "click",
    "client_id": "c1",
    "query_id": "q1",
    "object_id": "p1",
    "timestamp": "2026-11-30T10:05:00Z",
}
SEARCHED = {
    "event_id": "e0",
    "user_query": "waterproof jacket",
    "query_id": "q1",
    "client_id": "c1",
    "query_response_hit_ids": ["p1", "p2"],
    "timestamp": "2026-11-30T10:00:00Z",
}
INSIGHTS = {
    "events": [
        {
            "eventType": "click",
            "eventName": "Product Clicked",
            "index": "products",
            "userToken": "c1",
            "queryID": "q1",
            "objectIDs": ["p1"],
            "positions": [1],
        }
    ]
}
PRODUCT = {"product_id": "p1", "title": "Storm shell jacket", "brand": "Acme", "price": 89.0}
ASKED = {
    "user_query": "waterproof jacket",
    "k": 2,
    "client_id": "c1",
    "filters": [
        {"field": "brand", "value": "Acme"},
        {"field": "attributes.colour", "op": "in", "value": ["red", "blue"]},
    ],
    "facets": ["attributes.size"],
}
# A GIF of 16 x 16, one of the least that show something.
SEEN = {
    "image": "R0lGODdhEAAQAIEAAP8AAP///wAAAAAAACwAAAAAEAAQAEAINgADCBwoEIDBgwYJEkSIUOFAhgcdFoQIQGIAihUlYrS4"
    "USNFjh89QgQ5UiRDkidNNlQZkaXBgAA7",
    "image_weight": 0.7,
    "user_query": "in blue",
}
_SEARCH = (
    "Search by text, by picture (image: base64 of a file; the model that serves must see pictures), or both."
)

_SHOWN = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


@cache
def description() -> dict[str, Any]:
    """Return the document. Whoever gets it must not change it."""
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((kind, "validation") for kind in _TAKEN),
        *((kind, "serialization") for kind in _SAID),
    ]
    _, found = models_json_schema(modes, ref_template="#/components/schemas/{model}")
    found["$defs"]["SearchRequest"]["required"].remove("request_id")  # over HTTP it gets one
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "searchloop",
            "version": "1",
            "description": "Product search that learns from what shoppers click and buy. "
            "A key is asked for once there is one: Authorization: Bearer KEY, or X-API-Key.",
        },
        "paths": _with_roles(_paths()),
        "components": {"schemas": found["$defs"], "securitySchemes": _SHOWN},
    }


def _paths() -> dict[str, Any]:
    said = "SearchResponse"
    paths = {
        "/v1/search": {
            "post": operation(_SEARCH, "SearchRequest", ASKED, said, (200, *POST, 502, 504)),
            "get": operation("Search, by an address.", None, None, said, (200, *BARE, 502, 504))
            | {"parameters": [parameter(name) for name in PARAMETERS]},
        },
        "/v1/search:batch": {
            "post": operation(
                "Several searches at once.", "SearchBatch", {"requests": [ASKED, SEEN]}, "SearchBatchAnswer",
                (200, *(code for code in POST if code != 503)),
            )
        },
        "/v1/products/{product_id}": {
            "delete": operation("Delete a product.", None, None, "RecordsAnswer", (202, *BARE))
            | {"parameters": [part_of_path("product_id", "p1")]}
        },
    }  # fmt: skip
    insights = operation(
        "Take in what Algolia's own clients post.", None, None, "RecordsAnswer", (200, *POST)
    )
    insights["requestBody"] = _body(JSON_TYPES | BEACON_TYPES, {"type": "object"}, INSIGHTS)
    paths["/1/events"] = {"post": insights}
    for path, kinds, example, what in (
        ("/v1/events", ("Search", "Interaction"), [SEARCHED, CLICK], "events"),
        ("/v1/products", ("Product",), [PRODUCT], "products"),
    ):
        form = {"parameters": [{**parameter("format"), "schema": {"enum": list(FORMATS)}}]}
        for suffix, summary in (("", f"Take {what} in."), (":validate", f"Judge {what}; write nothing.")):
            posted = operation(summary, None, None, "RecordsAnswer", (202, *POST))
            posted["requestBody"] = _records(kinds, example)
            paths[path + suffix] = {"post": posted | (form if what == "events" else {})}
    return paths | operator_paths()


def _with_roles(paths: dict[str, Any]) -> dict[str, Any]:
    """Return the paths, each operation with the role it needs and how a key is shown."""
    for path, operations in paths.items():
        for method, one in operations.items():
            role = ROLES[method.upper(), path]
            one |= {"x-role": role, "security": [{name: []} for name in _SHOWN] if role else []}
    return paths


def _body(media_types: Iterable[str], schema: object, example: object) -> dict[str, Any]:
    one = {"schema": schema, "example": example}
    return {"required": True, "content": dict.fromkeys(sorted(media_types), one)}


def _records(kinds: tuple[str, ...], example: object) -> dict[str, Any]:
    one = {"anyOf": [ref(kind) for kind in kinds]}
    several = {"anyOf": [*one["anyOf"], {"type": "array", "items": one}]}
    content: dict[str, Any] = {media: {"schema": {}} for media in sorted(POSTED_TYPES | BEACON_TYPES)}
    for media in JSON_TYPES:
        content[media] = {"schema": several, "example": example}
    for media in LINES | BEACON_TYPES:
        content[media] = {"schema": {"type": "string"}}
    return {"required": True, "content": content}

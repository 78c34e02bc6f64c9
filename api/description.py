"""What the API takes and says, as OpenAPI 3.1: made from the models that judge and answer. Pure."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.bodies import JSON_TYPES
from api.judging import FORMATS
from api.posted import LINES, POSTED_TYPES
from api.refusals import JSON
from api.roles import ROLES
from api.search_codes import GENERATION, QUERY_ID
from api.search_forms import PARAMETERS
from schemas.events import Interaction, Search
from schemas.http import ApiError, RecordsAnswer, SearchBatch, SearchBatchAnswer
from schemas.products import Product
from schemas.search import SearchRequest, SearchResponse

_TAKEN: tuple[type[BaseModel], ...] = (SearchRequest, SearchBatch, Search, Interaction, Product)
_SAID: tuple[type[BaseModel], ...] = (SearchResponse, SearchBatchAnswer, RecordsAnswer, ApiError)
CODES: Mapping[int, str] = {
    200: "Answered.",
    202: "The broker has the accepted records; results say what became of each.",
    400: "Bad, with the reason.",
    401: "A key is needed, or the key is none of ours.",
    403: "A key without the role, a page of another site, or a host name that is not ours.",
    408: "The body took too long.",
    413: "Too large, also when it is unpacked, or too many records.",
    415: "The content type or encoding is not taken.",
    429: "As much is worked on as is taken at once: see Retry-After.",
    500: "A fault of ours.",
    502: "What came as an answer is none.",
    503: "Kafka is away, or no release serves yet.",
    504: "No answer within timeout_ms.",
}
_BARE = (400, 401, 403, 429, 500, 503)
_POST = (400, 401, 403, 408, 413, 415, 429, 500, 503)
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
            "post": _operation(_SEARCH, "SearchRequest", ASKED, said, (200, *_POST, 502, 504)),
            "get": _operation("Search, by an address.", None, None, said, (200, *_BARE, 502, 504))
            | {"parameters": [_parameter(name) for name in PARAMETERS]},
        },
        "/v1/search:batch": {
            "post": _operation(
                "Several searches at once.", "SearchBatch", {"requests": [ASKED, SEEN]}, "SearchBatchAnswer",
                (200, *(code for code in _POST if code != 503)),
            )
        },
        "/v1/products/{product_id}": {
            "delete": _operation("Delete a product.", None, None, "RecordsAnswer", (202, *_BARE))
            | {"parameters": [{**_parameter("product_id"), "in": "path", "required": True}]}
        },
    }  # fmt: skip
    for path, kinds, example, what in (
        ("/v1/events", ("Search", "Interaction"), [SEARCHED, CLICK], "events"),
        ("/v1/products", ("Product",), [PRODUCT], "products"),
    ):
        form = {"parameters": [{**_parameter("format"), "schema": {"enum": list(FORMATS)}}]}
        for suffix, summary in (("", f"Take {what} in."), (":validate", f"Judge {what}; write nothing.")):
            operation = _operation(summary, None, None, "RecordsAnswer", (202, *_POST))
            operation["requestBody"] = _records(kinds, example)
            paths[path + suffix] = {"post": operation | (form if what == "events" else {})}
    return paths


def _with_roles(paths: dict[str, Any]) -> dict[str, Any]:
    """Return the paths, each operation with the role it needs and how a key is shown."""
    for path, operations in paths.items():
        for method, operation in operations.items():
            role = ROLES[method.upper(), path]
            operation |= {"x-role": role, "security": [{name: []} for name in _SHOWN] if role else []}
    return paths


def _operation(
    summary: str, taken: str | None, example: object, said: str, codes: tuple[int, ...]
) -> dict[str, Any]:
    body = {"requestBody": {"required": True, "content": _content(taken, example)}} if taken else {}
    return {"summary": summary, **body, "responses": {str(code): _response(code, said) for code in codes}}


def _response(code: int, said: str) -> dict[str, Any]:
    kinds = [_ref(said)] if code in {200, 202} else [_ref("ApiError"), _ref(said)]
    schema = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    headers = {name: {"schema": {"type": "string"}} for name in (QUERY_ID, GENERATION, "Server-Timing")}
    return {
        "description": CODES[code],
        "content": {JSON: {"schema": schema}},
        **({"headers": headers} if said == "SearchResponse" and code == 200 else {}),
    }


def _content(kind: str, example: object) -> dict[str, Any]:
    return {media: {"schema": _ref(kind), "example": example} for media in sorted(JSON_TYPES)}


def _records(kinds: tuple[str, ...], example: object) -> dict[str, Any]:
    one = {"anyOf": [_ref(kind) for kind in kinds]}
    several = {"anyOf": [*one["anyOf"], {"type": "array", "items": one}]}
    content: dict[str, Any] = {media: {"schema": {}} for media in sorted(POSTED_TYPES)}
    for media in JSON_TYPES:
        content[media] = {"schema": several, "example": example}
    for media in LINES:
        content[media] = {"schema": {"type": "string"}}
    return {"required": True, "content": content}


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": name == "q", "schema": {"type": "string"}}


def _ref(kind: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind}"}

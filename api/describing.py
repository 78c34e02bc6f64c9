"""The parts of an OpenAPI document: an operation, its answers, a body, a parameter. Pure."""

from collections.abc import Mapping
from typing import Any

from api.bodies import JSON_TYPES
from api.refusals import JSON
from api.search_codes import GENERATION, QUERY_ID

CODES: Mapping[int, str] = {
    200: "Answered.",
    202: "The broker has it: of records results say what became of each, of a change Location where to look.",
    400: "Bad, with the reason.",
    401: "A key is needed, or the key is none of ours.",
    403: "A key without the role, a page of another site, or a host name that is not ours.",
    408: "The body took too long.",
    404: "Nothing is known by this name.",
    409: "The state of things forbids it, or the indexer has refused it.",
    413: "Too large, also when it is unpacked, or too many records.",
    415: "The content type or encoding is not taken.",
    422: "It makes no sense, whatever the state of things.",
    429: "As much is worked on as is taken at once, or the key has had what it may: see Retry-After.",
    500: "A fault of ours.",
    502: "What came as an answer is none.",
    503: "Kafka is away, no release serves yet, or the API is still starting.",
    504: "No answer within timeout_ms.",
}
# What any request may be answered, and one with a body.
BARE = (400, 401, 403, 429, 500, 503)
POST = (400, 401, 403, 408, 413, 415, 429, 500, 503)


def operation(
    summary: str, taken: str | None, example: object, said: str, codes: tuple[int, ...]
) -> dict[str, Any]:
    """Return an operation.

    ``taken`` and ``said`` name the schemas of its body (None: without) and of its answer.
    """
    body = {"requestBody": {"required": True, "content": content(taken, example)}} if taken else {}
    return {"summary": summary, **body, "responses": {str(code): _response(code, said) for code in codes}}


def _response(code: int, said: str) -> dict[str, Any]:
    kinds = [ref(said)] if code in {200, 202} else [ref("ApiError"), ref(said)]
    schema = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    names = (QUERY_ID, GENERATION, "Server-Timing") if said == "SearchResponse" else ()
    headers = {name: {"schema": {"type": "string"}} for name in names}
    return {
        "description": CODES[code],
        "content": {JSON: {"schema": schema}},
        **({"headers": headers} if headers and code == 200 else {}),
    }


def content(kind: str, example: object) -> dict[str, Any]:
    """Return a body by its media types."""
    return {media: {"schema": ref(kind), "example": example} for media in sorted(JSON_TYPES)}


def parameter(name: str) -> dict[str, Any]:
    """Return a parameter of an address."""
    return {"name": name, "in": "query", "required": name == "q", "schema": {"type": "string"}}


def part_of_path(name: str, example: object) -> dict[str, Any]:
    """Return a parameter that is a part of the path."""
    kind = "integer" if isinstance(example, int) else "string"
    return {"name": name, "in": "path", "required": True, "schema": {"type": kind}, "example": example}


def ref(kind: str) -> dict[str, str]:
    """Return the reference to a schema."""
    return {"$ref": f"#/components/schemas/{kind}"}

"""From a body or a query string to search requests, or to why there are none. Pure but for new ids."""

import re
import uuid
from collections.abc import Sequence
from typing import get_args

from pydantic_core import to_json

from api.bodies import HttpFault
from schemas.bounds import SEARCH_BATCH, SEARCH_BATCH_BYTES
from schemas.decoding import load
from schemas.rejections import Reason, Rejection
from schemas.request_reading import LARGEST_BATCH, oversize, read_request
from schemas.search import Filter, SearchRequest

_PLAIN = (
    "k", "offset", "client_id", "session_id", "user_id", "query_id", "timeout_ms", "explain", "deployment",
    "request_id", "group_by", "sort", "ranking",
)  # fmt: skip
PARAMETERS = ("q", "filter", "facet", *_PLAIN)
_FILTER = "field:op:value, such as brand:eq:Sony, price:lte:20, attributes.colour:in:red|blue"
_FORM = re.compile(rf"(.*?):({'|'.join(get_args(Filter.model_fields['op'].annotation))}):(.*)", re.DOTALL)
_FILTER_PARTS = 3


def request_of(fields: dict[str, object]) -> SearchRequest | HttpFault:
    """Return the request of a body's fields, with an id of its own where they have none."""
    if fields.get("request_id") in (None, ""):
        fields = fields | {"request_id": uuid.uuid4().hex}
    found = read_request(to_json(fields))
    return _bad(found) if isinstance(found, Rejection) else found


def request_of_body(body: bytes) -> SearchRequest | HttpFault:
    """Return the request of a body."""
    fields = oversize(body) or load(body)
    return _bad(fields) if isinstance(fields, Rejection) else request_of(fields)


def batch_of(body: bytes) -> list[SearchRequest | HttpFault] | HttpFault:
    """Return the requests of a batch; one that is bad is in its place."""
    fields = oversize(body, most=SEARCH_BATCH_BYTES, largest=LARGEST_BATCH) or load(body)
    if isinstance(fields, Rejection):
        return _bad(fields)
    found = fields.get("requests")
    if not isinstance(found, list) or not 1 <= len(found) <= SEARCH_BATCH:
        return HttpFault(
            400, "invalid_request", f"requests: a list of 1 to {SEARCH_BATCH} searches is expected"
        )
    no_object = HttpFault(400, "invalid_request", "request: a JSON object is expected")
    return [request_of(one) if isinstance(one, dict) else no_object for one in found]


def request_of_query(parameters: Sequence[tuple[str, str]]) -> SearchRequest | HttpFault:
    """Return the request of a query string: ``q``, ``filter``, ``facet`` and a request's plain fields."""
    fields: dict[str, object] = {}
    filters: list[object] = []
    facets: list[str] = []
    for name, text in parameters:
        if name == "filter":
            form = _FORM.fullmatch(text)  # so that an attribute's name may hold a colon
            parts = form.groups() if form else text.split(":", _FILTER_PARTS - 1)
            if len(parts) < _FILTER_PARTS:
                return HttpFault(400, "invalid_request", f"filter: {_FILTER} is expected")
            field, op, value = parts
            filters.append({"field": field, "op": op, "value": value.split("|") if op == "in" else value})
        elif name == "facet":
            facets.append(text)
        elif name not in {"q", *_PLAIN}:
            return HttpFault(400, "invalid_request", f"{name[:100]!r} is no parameter of a search")
        elif (field := "user_query" if name == "q" else name) in fields:
            return HttpFault(400, "invalid_request", f"{name}: it is said twice")
        else:
            fields[field] = text
    if "user_query" not in fields:
        return HttpFault(400, "invalid_request", "q: what is searched for is missing")
    return request_of(fields | {"filters": filters, "facets": facets})


def _bad(found: Rejection) -> HttpFault:
    first = found.problems[0]
    message = f"{first.loc or 'request'}: {first.message}"[:500]
    if found.reason is Reason.IMAGE_TOO_LARGE:
        return HttpFault(413, found.reason.value, message)
    return HttpFault(413 if found.reason is Reason.TOO_LARGE else 400, "invalid_request", message)

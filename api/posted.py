"""A posted body as the records that are in it, each as a producer would have sent it. Pure.

One object, a JSON array, lines, or CloudEvents in any of their three forms; the bytes of each stay as they
came. Whether they say anything sensible is judged elsewhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote

import msgspec

from api.bodies import JSON_TYPES, HttpFault
from broker.records import Headers
from schemas.bounds import POSTED_RECORDS
from schemas.decoding import BOM

LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_EVENT, _EVENTS = "application/cloudevents+json", "application/cloudevents-batch+json"
POSTED_TYPES = JSON_TYPES | LINES | {_EVENT, _EVENTS}
# What a browser sends without asking for leave: JSON all the same.
BEACON_TYPES = frozenset({"text/plain"})
_STRUCTURED: Headers = (("content-type", _EVENT.encode()),)
# A line from its first character on; blank ones are none.
_LINE = re.compile(rb"\S[^\n]*")
_BROKEN = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class Posted:
    """One record of a body."""

    value: bytes
    headers: Headers = ()


def records_in(body: bytes, media_type: str, headers: Mapping[str, str]) -> list[Posted] | HttpFault:
    """Return the records of a body. ``headers`` are those of the request."""
    if media_type == _EVENT:
        return [Posted(body, _STRUCTURED)]
    if media_type in LINES:
        found = islice(_LINE.finditer(body), POSTED_RECORDS + 1)
        return _bounded([Posted(line[0].rstrip()) for line in found])
    if media_type != _EVENTS and (binary := _binary(headers)):
        return [Posted(body, binary)]
    text = body.removeprefix(BOM).strip()
    if not text.startswith(b"["):
        return [Posted(body)] if text else HttpFault(400, "empty", "there is no record in the body")
    try:
        parts = msgspec.json.decode(text, type=list[msgspec.Raw])
    except _BROKEN as error:
        return HttpFault(400, "json_decode", f"the array is not JSON: {str(error)[:200]}")
    own = _STRUCTURED if media_type == _EVENTS else ()
    return _bounded([Posted(bytes(part), own) for part in parts[: POSTED_RECORDS + 1]])


def _bounded(found: list[Posted]) -> list[Posted] | HttpFault:
    if len(found) > POSTED_RECORDS:
        return HttpFault(413, "too_many", f"at most {POSTED_RECORDS} records in one request")
    return found or HttpFault(400, "empty", "there is no record in the body")


def _binary(headers: Mapping[str, str]) -> Headers:
    """Return the headers of a CloudEvent in binary form, as they stand on Kafka; none when it is not one."""
    if "ce-specversion" not in headers:
        return ()
    attributes = ((n, unquote(v).encode()) for n, v in headers.items() if n.startswith("ce-"))
    return (
        ("content-type", b"application/json"),
        *(("ce_" + name.removeprefix("ce-"), value) for name, value in attributes),
    )

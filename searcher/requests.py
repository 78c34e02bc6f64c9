"""From a record of ``search-requests`` to a request with its reply address, or to the reason why it is refused.

Pure. It decides what is valid and where an answer goes; whether the request came too late, and what is found, it does not know.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from broker.records import Headers, Record
from retrieval.filters import FilterError, expression
from schemas.search import CORRELATION_ID, REPLY_PARTITION, REPLY_TOPIC, SearchError, SearchRequest
from schemas.text import normalise_query

_BIG_ENDIAN_INT_BYTES = 4
_MAX_ID_CHARS = 256


@dataclass(frozen=True)
class Address:
    """Where an answer goes. ``headers`` carry the correlation id as it came, byte for byte."""

    topic: str
    partition: int | None = None
    headers: Headers = ()


@dataclass(frozen=True)
class Accepted:
    """A valid request. ``sent_ms`` is its Kafka timestamp in epoch milliseconds, None when the record has none."""

    request: SearchRequest
    address: Address
    sent_ms: int | None
    record: Record

    def remaining_ms(self, now_ms: float) -> float:
        """Return how long the client still waits; 0 or less once it does not."""
        return self.request.timeout_ms - (0.0 if self.sent_ms is None else max(0.0, now_ms - self.sent_ms))


@dataclass(frozen=True)
class Refused:
    """A bad request. ``request_id`` None: nobody can be told, because neither the value nor the key names the request."""

    request_id: str | None
    address: Address
    error: SearchError
    sent_ms: int | None
    record: Record


def read(record: Record, reply_topics: Mapping[str, int], default: str) -> Accepted | Refused:
    """Return the request of a record. ``reply_topics`` maps the allowed topics to their numbers of partitions; ``default`` is one.

    A bad reply address is refused on ``default``, so that a request cannot write where it may not.
    """
    sent_ms = record.timestamp_ms if record.timestamp_ms >= 0 else None
    address, fault = _address(record, reply_topics, default)
    try:
        request = SearchRequest.from_json(record.value or b"")
        if fault is None:
            fault = _fault(request)
    except ValidationError as error:
        if fault is None:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "request"
            fault = SearchError(code="invalid_request", message=f"{where}: {first['msg']}"[:500])
        return Refused(_id_of(record), address, fault, sent_ms, record)
    if fault is not None:
        return Refused(request.request_id, address, fault, sent_ms, record)
    return Accepted(request, address, sent_ms, record)


def _fault(request: SearchRequest) -> SearchError | None:
    if not normalise_query(request.user_query):
        return SearchError(code="blank_query", message="user_query holds no text")
    try:
        expression(request.filters)
    except FilterError as error:
        return SearchError(code="invalid_filter", message=str(error))
    return None


def _address(record: Record, reply_topics: Mapping[str, int], default: str) -> tuple[Address, SearchError | None]:
    correlation = record.header(CORRELATION_ID)
    headers: Headers = () if correlation is None else ((CORRELATION_ID, correlation),)
    topic = (record.header(REPLY_TOPIC) or default.encode()).decode(errors="replace")
    if topic not in reply_topics:
        return Address(default, None, headers), SearchError(code="reply_topic", message=f"{topic[:200]!r} is no allowed reply topic")
    raw = record.header(REPLY_PARTITION)
    if raw is None:
        return Address(topic, None, headers), None
    partition = _number(raw)
    if partition is None or not 0 <= partition < reply_topics[topic]:
        message = f"the reply partition must be a number from 0 to {reply_topics[topic] - 1}"
        return Address(topic, None, headers), SearchError(code="reply_partition", message=message)
    return Address(topic, partition, headers), None


def _number(raw: bytes) -> int | None:
    # Spring writes four bytes, big-endian; other clients write decimal digits. Four digits would be partition 1000 and beyond.
    if len(raw) == _BIG_ENDIAN_INT_BYTES:
        return int.from_bytes(raw, "big", signed=True)
    return int(raw) if raw.isdigit() else None


def _id_of(record: Record) -> str | None:
    try:
        value = json.loads(record.value or b"")
    except ValueError:
        value = None
    found = value.get("request_id") if isinstance(value, dict) else None
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str) or not found:
        found = (record.key or b"").decode(errors="replace")
    return found if 0 < len(found) <= _MAX_ID_CHARS else None

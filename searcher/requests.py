"""From a record of ``search-requests`` to a request with its reply address.

Or to the reason why it is refused. Pure. It decides what is valid and where an answer goes; whether the
request came too late, and what is found, it does not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from broker.records import Headers, Record, bytes_of
from retrieval.filters import FilterError, check
from schemas.base import Id
from schemas.bounds import HEADER_BYTES, HEADER_DIGITS
from schemas.rejections import Reason, Rejection
from schemas.request_reading import read_request
from schemas.search import CORRELATION_ID, REPLY_PARTITION, REPLY_TOPIC, SearchError, SearchRequest
from schemas.text import normalise_query
from schemas.traceparent import TRACEPARENT, parent_in

_BIG_ENDIAN_INT_BYTES = 4
_ID: TypeAdapter[str] = TypeAdapter(Id)
_TOO_LARGE = frozenset({Reason.TOO_LARGE, Reason.IMAGE_TOO_LARGE})


@dataclass(frozen=True)
class Address:
    """Where an answer goes. ``headers`` carry the correlation id, byte for byte, and the trace."""

    topic: str
    partition: int | None = None
    headers: Headers = ()

    @property
    def trace(self) -> Headers:
        """The header by which the request is followed; none where it had none."""
        return tuple(header for header in self.headers if header[0] == TRACEPARENT)


@dataclass(frozen=True)
class Accepted:
    """A valid request.

    ``sent_ms`` is its Kafka timestamp in epoch milliseconds, None when the record has none. One that asks by
    a picture is kept without the value of its record; without a text its ``user_query`` is empty.
    """

    request: SearchRequest
    address: Address
    sent_ms: int | None
    record: Record

    @property
    def bytes(self) -> int:
        """The size of what is kept for it: its record, its picture."""
        return bytes_of(self.record) + len(self.request.image or b"")

    def remaining_ms(self, now_ms: float) -> float:
        """Return how long the client still waits; 0 or less once it does not."""
        return self.request.timeout_ms - (0.0 if self.sent_ms is None else max(0.0, now_ms - self.sent_ms))


@dataclass(frozen=True)
class BadRequest:
    """A bad request. ``request_id`` None: neither the value nor the key names the request."""

    request_id: str | None
    address: Address
    error: SearchError
    sent_ms: int | None
    record: Record

    @property
    def answerable(self) -> bool:
        """Whether somebody can be told: by the request's id, or by a correlation id."""
        return self.request_id is not None or any(name == CORRELATION_ID for name, _ in self.address.headers)


def read(record: Record, reply_topics: Mapping[str, int], default: str) -> Accepted | BadRequest:
    """Return the request of a record.

    ``reply_topics`` maps the allowed topics to their numbers of partitions; ``default`` is one. A bad reply
    address is refused on ``default``, so that a request cannot write where it may not.
    """
    sent_ms = record.timestamp_ms if record.timestamp_ms >= 0 else None
    address, fault = _address(record, reply_topics, default)
    request = read_request(record.value)
    if isinstance(request, Rejection):
        first = request.problems[0]
        message = f"{first.loc or 'request'}: {first.message}"[:500]
        if request.reason in _TOO_LARGE:  # it is not read again for its id
            fault = SearchError(code=request.reason.value, message=message)
            return BadRequest(
                _as_id((record.key or b"").decode(errors="replace")), address, fault, sent_ms, record
            )
        return BadRequest(
            _id_of(record),
            address,
            fault or SearchError(code="invalid_request", message=message),
            sent_ms,
            record,
        )
    fault = fault or _fault(request)
    if fault is not None:
        return BadRequest(request.request_id, address, fault, sent_ms, record)
    if request.image is None:
        return Accepted(request, address, sent_ms, record)
    if not normalise_query(request.user_query):
        request = request.model_copy(update={"user_query": ""})
    return Accepted(request, address, sent_ms, replace(record, value=None))


def refused_for_a_fault(record: Record, kind: str, default: str) -> BadRequest:
    """Return the refusal of a record that nobody foresaw.

    Told by its key and its correlation id where it has them, on ``default``.
    """
    error = SearchError(code="processing_error", message=f"a fault of the searcher: {kind}")
    key = _as_id((record.key or b"").decode(errors="replace"))
    return BadRequest(key, Address(default, None, _correlation(record) or ()), error, None, record)


def _fault(request: SearchRequest) -> SearchError | None:
    if request.image is None and not normalise_query(request.user_query):
        return SearchError(code="blank_query", message="user_query holds no text, and there is no image")
    try:
        check(request.filters)
    except FilterError as error:
        return SearchError(code="invalid_filter", message=str(error))
    return None


def _address(
    record: Record, reply_topics: Mapping[str, int], default: str
) -> tuple[Address, SearchError | None]:
    correlation = _correlation(record)
    if correlation is None:
        return Address(default), SearchError(
            code="correlation_id", message=f"a correlation id has at most {HEADER_BYTES} bytes"
        )
    headers = correlation + _trace(record)
    topic = (record.header(REPLY_TOPIC) or default.encode()).decode(errors="replace")
    if topic not in reply_topics:
        return Address(default, None, headers), SearchError(
            code="reply_topic", message=f"{topic[:200]!r} is no allowed reply topic"
        )
    raw = record.header(REPLY_PARTITION)
    if raw is None:
        return Address(topic, None, headers), None
    partition = _number(raw)
    if partition is None or not 0 <= partition < reply_topics[topic]:
        message = f"the reply partition must be a number from 0 to {reply_topics[topic] - 1}"
        return Address(topic, None, headers), SearchError(code="reply_partition", message=message)
    return Address(topic, partition, headers), None


def _correlation(record: Record) -> Headers | None:
    """Return the correlation header as it came, or no header; None when it is too long to be echoed."""
    correlation = record.header(CORRELATION_ID)
    if correlation is None:
        return ()
    return ((CORRELATION_ID, correlation),) if len(correlation) <= HEADER_BYTES else None


def _trace(record: Record) -> Headers:
    parent = parent_in((record.header(TRACEPARENT) or b"").decode("latin-1"))
    return () if parent is None else ((TRACEPARENT, parent.encode()),)


def _number(raw: bytes) -> int | None:
    # Spring writes four bytes, big-endian; other clients write decimal digits. Four digits would be partition
    # 1000 and beyond.
    if len(raw) == _BIG_ENDIAN_INT_BYTES:
        return int.from_bytes(raw, "big", signed=True)
    return int(raw) if raw.isdigit() and len(raw) <= HEADER_DIGITS else None


def _id_of(record: Record) -> str | None:
    try:
        value = from_json(record.value or b"", allow_inf_nan=False)
    except ValueError:  # no JSON, or brackets without end
        value = None
    found = _as_id(value.get("request_id")) if isinstance(value, dict) else None
    return found or _as_id((record.key or b"").decode(errors="replace"))


def _as_id(found: object) -> str | None:
    try:
        return _ID.validate_python(found)
    except ValidationError:
        return None

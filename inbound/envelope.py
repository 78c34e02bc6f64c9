"""Open the CloudEvents envelope of a raw record, and read the message in it.

From its headers ("binary") or around its body ("structured"). A structured envelope is known by its content
type, or by its ``specversion``, which no message of ours has. It knows no clock.
"""

import base64
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import NAMESPACE_URL, uuid5

from pydantic_core import to_json

from broker.dead_letters import origin_of
from broker.records import Record
from schemas.absent import NOBODY
from schemas.base import Message
from schemas.bounds import EVENT_ID_CHARS, HEADER_BYTES
from schemas.decoding import load, read, refuse
from schemas.rejections import Reason, Rejection

M = TypeVar("M", bound=Message)
_STRUCTURED = b"application/cloudevents+json"
SPECVERSION = b'"specversion"'
_GONE = ("deleted", "delete", "removed", "remove")


@dataclass(frozen=True, slots=True)
class Decoded(Generic[M]):
    """A readable message, and the id of the CloudEvents envelope it came in, if any."""

    message: M
    envelope_id: str | None


@dataclass(frozen=True, slots=True)
class Opened:
    """What is in a record.

    The bytes of the message, None where the envelope holds none, and what the envelope says of them.
    """

    value: bytes | None
    envelope_id: str | None = None
    envelope_time: str | None = None
    deletes: bool = False


def decode(record: Record, kind: type[M], *, max_bytes: int) -> Decoded[M] | Rejection:
    """Read the message of a record. An event without a time of its own takes its envelope's."""
    value = record.value
    # An envelope without content type is no message, so it is looked for in what was refused only
    if not record.headers:
        message = read(value, kind, max_bytes=max_bytes)
        if not isinstance(message, Rejection):
            return Decoded(message, None)
        if value is None or SPECVERSION not in value:
            return message
    opened = open_record(record, max_bytes=max_bytes)
    if isinstance(opened, Rejection):
        return opened
    if opened.value is None and value is not None:
        return refuse(
            Reason.SCHEMA,
            "data",
            "a CloudEvents envelope with a JSON object in data or data_base64 is expected",
        )
    value = opened.value
    if opened.envelope_time is not None and value is not None and "timestamp" in kind.model_fields:
        value = _timed(value, opened.envelope_time)
    message = read(value, kind, max_bytes=max_bytes)
    return message if isinstance(message, Rejection) else Decoded(message, opened.envelope_id)


def open_record(record: Record, *, max_bytes: int) -> Opened | Rejection:
    """Return what is in a record. Both envelopes, where there are two, must agree."""
    value = record.value
    if value is None:
        return Opened(None)
    if len(value) > max_bytes:
        return refuse(Reason.TOO_LARGE, message=f"{len(value)} bytes, at most {max_bytes}")
    binary = _headers(record) if record.headers else Opened(value)
    if isinstance(binary, Rejection):
        return binary
    certain = (record.header("content-type") or b"").lower().startswith(_STRUCTURED)
    return _open_structured(value, binary, certain=certain) if certain or SPECVERSION in value else binary


def agreed_id(event_id: str | None, envelope_id: str | None, record: Record) -> str | Rejection:
    """Return the id of an event.

    Its own, its envelope's, or a UUIDv5 of where it lies, so that a replay gives the same. A dead letter that
    was sent again lies where it first lay.
    """
    if event_id and envelope_id and event_id != envelope_id:
        return refuse(Reason.ENVELOPE_CONFLICT, "event_id", "event_id and the envelope's id differ")
    found = event_id or envelope_id
    if not found:
        return str(uuid5(NAMESPACE_URL, origin_of(record)))
    return found if len(found) <= EVENT_ID_CHARS and found.isprintable() else str(uuid5(NAMESPACE_URL, found))


def _headers(record: Record) -> Opened | Rejection:
    found: dict[str, str | None] = {}
    for name in ("ce_id", "ce_time", "ce_type"):
        raw = record.header(name) or b""
        if len(raw) > HEADER_BYTES:
            return refuse(Reason.TOO_LARGE, name, f"a header of {len(raw)} bytes, at most {HEADER_BYTES}")
        try:
            found[name] = raw.decode() or None
        except UnicodeDecodeError:
            return refuse(Reason.UNDECODABLE_TEXT, name, "the header is not UTF-8")
    version = record.header("ce_specversion")
    if version is not None and not version.startswith(b"1."):
        return refuse(Reason.UNSUPPORTED_VERSION, "ce_specversion", "only CloudEvents 1 is known here")
    return Opened(record.value, _id(found["ce_id"]), found["ce_time"], _deletes(found["ce_type"]))


def _open_structured(value: bytes, binary: Opened, *, certain: bool) -> Opened | Rejection:
    outer = load(value)
    if isinstance(outer, Rejection):
        return outer
    if not certain and "specversion" not in outer:
        return binary  # the word stands further inside
    if not str(outer.get("specversion", "1.0")).startswith("1."):
        return refuse(Reason.UNSUPPORTED_VERSION, "specversion", "only CloudEvents 1 is known here")
    found = _id(outer.get("id"))
    if found and binary.envelope_id and found != binary.envelope_id:
        return refuse(Reason.ENVELOPE_CONFLICT, "ce_id", "the ids of the two envelopes differ")
    data = _data(outer)
    if isinstance(data, Rejection):
        return data
    time = outer.get("time")
    return Opened(
        data,
        found or binary.envelope_id,
        time if isinstance(time, str) and time else binary.envelope_time,
        _deletes(outer.get("type")) or binary.deletes,
    )


def _data(outer: dict[str, Any]) -> bytes | Rejection | None:
    """Return the message in an envelope: an object, JSON as text, or either in base64."""
    data: Any = outer.get("data")
    encoded: Any = outer.get("data_base64")
    if data is None and encoded is None:
        return None
    if data is None:
        try:
            return base64.b64decode(encoded, validate=True)
        except (ValueError, TypeError):
            return refuse(Reason.SCHEMA, "data_base64", "base64 is expected")
    if isinstance(data, str) and data.lstrip().startswith("{"):
        return data.encode()
    return (
        to_json(data)
        if isinstance(data, dict)
        else refuse(Reason.SCHEMA, "data", "a JSON object in data is expected")
    )


def _timed(value: bytes, time: str) -> bytes:
    """Return the message with the time of its envelope, where it has none of its own."""
    loaded = load(value)
    if isinstance(loaded, Rejection) or loaded.get("timestamp") not in (None, ""):
        return value
    return to_json(loaded | {"timestamp": time})


def _id(found: object) -> str | None:
    return found if isinstance(found, str) and found and found not in NOBODY else None


def _deletes(kind: object) -> bool:
    """Say whether the type of an envelope is that of a deletion: ``com.shop.product.deleted``."""
    return (
        isinstance(kind, str) and kind.lower().replace("_", ".").replace("-", ".").rpartition(".")[2] in _GONE
    )

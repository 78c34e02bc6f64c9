"""Read the bytes of a raw record as one message: JSON, with or without a CloudEvents envelope around it.

Decides whether the bytes are readable and of our version. It knows no clock and no rules of the messages themselves.
"""

import json
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import NAMESPACE_URL, uuid5

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from broker.dead_letters import origin_of
from broker.records import Record
from schemas.base import Message
from schemas.rejections import Problem, Reason, Rejection

M = TypeVar("M", bound=Message)
_STRUCTURED = b"application/cloudevents+json"
_BOM = b"\xef\xbb\xbf"
_MAX_PROBLEMS = 20
_MAX_ID = 100


@dataclass(frozen=True, slots=True)
class Decoded(Generic[M]):
    """A readable message, and the id of the CloudEvents envelope it came in, if any."""

    message: M
    envelope_id: str | None


def refuse(reason: Reason, loc: str = "", message: str = "") -> Rejection:
    """Return a rejection with one problem. ``message`` must not hold a value of the record."""
    return Rejection(reason=reason, problems=[Problem(loc=loc, type=reason.value, message=message or reason.value.replace("_", " "))])


def decode(record: Record, kind: type[M], *, max_bytes: int) -> Decoded[M] | Rejection:
    """Parse a record. A null value is ``not_object``; a body of another major version is ``unsupported_version`` before ``schema``."""
    value = record.value
    if value is None:
        return refuse(Reason.NOT_OBJECT, message="the record has no value")
    if len(value) > max_bytes:
        return refuse(Reason.TOO_LARGE, message=f"{len(value)} bytes, at most {max_bytes}")
    value = value.removeprefix(_BOM)
    envelope_id = None
    if record.headers:
        opened = _open(record, value)
        if isinstance(opened, Rejection):
            return opened
        value, envelope_id = opened
    if b"NaN" in value or b"Infinity" in value:  # JSON has neither; pydantic's parser takes both
        loaded = _load(value)
        if isinstance(loaded, Rejection):
            return loaded
    parsed = _parse(value, kind)
    return parsed if isinstance(parsed, Rejection) else Decoded(parsed, envelope_id)


def agreed_id(event_id: str | None, envelope_id: str | None, record: Record) -> str | Rejection:
    """Return the id of an event: its own, its envelope's, or a UUIDv5 of where it lies, so that a replay gives the same.

    A dead letter that was sent again lies where it first lay.
    """
    if event_id and envelope_id and event_id != envelope_id:
        return refuse(Reason.ENVELOPE_CONFLICT, "event_id", "event_id and the envelope's id differ")
    found = event_id or envelope_id
    if not found:
        return str(uuid5(NAMESPACE_URL, origin_of(record)))
    return found if len(found) <= _MAX_ID and found.isprintable() else str(uuid5(NAMESPACE_URL, found))


def _parse(value: bytes, kind: type[M]) -> M | Rejection:
    try:
        # Only bodies that speak of a version are looked at twice.
        return kind.model_validate_json(value) if b'"schema_version"' not in value else _parse_versioned(value, kind)
    except ValidationError as error:
        return _explain(value, error)


def _parse_versioned(value: bytes, kind: type[M]) -> M | Rejection:
    loaded = _load(value)
    if isinstance(loaded, Rejection):
        return loaded
    found = loaded.get("schema_version", 1)
    if str(found).partition(".")[0] != "1":
        return refuse(Reason.UNSUPPORTED_VERSION, "schema_version", "only major version 1 is known here")
    if found != 1:  # "1", "1.2", 1.2
        value = to_json({**loaded, "schema_version": 1})
    return kind.model_validate_json(value)


def _explain(value: bytes, error: ValidationError) -> Rejection:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    first = details[0]
    if first["type"] == "json_invalid":
        loaded = _load(value)
        if isinstance(loaded, Rejection):
            return loaded
        return refuse(Reason.UNDECODABLE_TEXT if _has_lone_surrogate(loaded) else Reason.JSON_DECODE, message=first["msg"])
    if not first["loc"] and first["type"].startswith("model"):
        return refuse(Reason.NOT_OBJECT, message="a JSON object is expected")
    problems = [
        Problem(loc=".".join(str(part)[:100] for part in d["loc"]), type=d["type"], message=d["msg"][:300]) for d in details[:_MAX_PROBLEMS]
    ]
    return Rejection(reason=Reason.SCHEMA, problems=problems)


def _load(value: bytes) -> dict[str, object] | Rejection:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        return refuse(Reason.UNDECODABLE_TEXT, message=f"not UTF-8 at byte {error.start}")
    try:
        loaded = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return refuse(Reason.JSON_DECODE, message=f"not JSON at character {getattr(error, 'pos', 0)}")
    return loaded if isinstance(loaded, dict) else refuse(Reason.NOT_OBJECT, message="a JSON object is expected")


def _has_lone_surrogate(loaded: object) -> bool:
    """The standard library takes half a surrogate pair, which no UTF-8 text can hold."""
    try:
        json.dumps(loaded, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _no_constant(_: str) -> object:
    raise ValueError("NaN and Infinity are not JSON")


def _open(record: Record, value: bytes) -> tuple[bytes, str | None] | Rejection:
    """Return the body and the envelope's id, from headers ("binary") or from around the body ("structured"); both must agree."""
    try:
        binary_id = (record.header("ce_id") or b"").decode() or None
    except UnicodeDecodeError:
        return refuse(Reason.UNDECODABLE_TEXT, "ce_id", "the header is not UTF-8")
    version = record.header("ce_specversion")
    if version is not None and not version.startswith(b"1."):
        return refuse(Reason.UNSUPPORTED_VERSION, "ce_specversion", "only CloudEvents 1 is known here")
    if not (record.header("content-type") or b"").lower().startswith(_STRUCTURED):
        return value, binary_id
    opened = _open_structured(value)
    if isinstance(opened, Rejection):
        return opened
    body, found = opened
    if found and binary_id and found != binary_id:
        return refuse(Reason.ENVELOPE_CONFLICT, "ce_id", "the ids of the two envelopes differ")
    return body, found or binary_id


def _open_structured(value: bytes) -> tuple[bytes, str | None] | Rejection:
    try:
        outer = from_json(value, allow_inf_nan=False)
    except ValueError:
        outer = _load(value)
        if isinstance(outer, Rejection):
            return outer
        return refuse(Reason.JSON_DECODE, message="the envelope is not JSON")
    if not isinstance(outer, dict):
        return refuse(Reason.NOT_OBJECT, message="a JSON object is expected")
    data, found = outer.get("data"), outer.get("id")
    if not str(outer.get("specversion", "1.0")).startswith("1."):
        return refuse(Reason.UNSUPPORTED_VERSION, "specversion", "only CloudEvents 1 is known here")
    if not isinstance(data, dict):
        return refuse(Reason.SCHEMA, "data", "a CloudEvents envelope with a JSON object in data is expected")
    return to_json(data), found if isinstance(found, str) and found else None

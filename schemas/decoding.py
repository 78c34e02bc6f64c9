"""From bytes to a message, or to the reason why they are none.

The one way in for whatever others send, of every topic and in files. Whatever the bytes are, nothing is
raised. Knows no envelope, no clock, and no rule that a message's own class does not state.
"""

from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from schemas.absent import without_absent
from schemas.base import Message
from schemas.bounds import JSON_DEPTH, REQUEST_BYTES
from schemas.rejections import Problem, Reason, Rejection

M = TypeVar("M", bound=Message)
BOM = b"\xef\xbb\xbf"
_MAX_PROBLEMS = 20


def refuse(reason: Reason, loc: str = "", message: str = "") -> Rejection:
    """Return a rejection with one problem. ``message`` must not hold a value of the record."""
    return Rejection(
        reason=reason,
        problems=[Problem(loc=loc, type=reason.value, message=message or reason.value.replace("_", " "))],
    )


def unreadable(error: ValidationError) -> Rejection:
    """Return the rejection of a command or trigger that its model does not take, with the first problems."""
    problems = [
        Problem(loc=".".join(map(str, e["loc"])), type=e["type"], message=e["msg"])
        for e in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    broken = any(p.type == "json_invalid" for p in problems)
    return Rejection(
        reason=Reason.JSON_DECODE if broken else Reason.SCHEMA, problems=problems[:_MAX_PROBLEMS]
    )


def read(raw: bytes | None, kind: type[M], *, max_bytes: int = REQUEST_BYTES) -> M | Rejection:
    """Return the message that ``raw`` holds.

    Optional fields that say nothing (null, blank, ``undefined``) are absent. No value is ``not_object``;
    another major version is ``unsupported_version`` before anything else that is wrong with the fields.
    """
    if raw is None:
        return refuse(Reason.NOT_OBJECT, message="the record has no value")
    if len(raw) > max_bytes:
        return refuse(Reason.TOO_LARGE, message=f"{len(raw)} bytes, at most {max_bytes}")
    value = raw.removeprefix(BOM)
    # JSON has neither; a model's parser takes both. One letter is found faster than a word.
    if (b"N" in value and b"NaN" in value) or (b"I" in value and b"Infinity" in value):
        loaded = load(value)
        if isinstance(loaded, Rejection):
            return loaded
    try:
        message = kind.model_validate_json(value)
    except ValidationError as error:
        return _why_no_object(value, error) or _read_again(value, kind)
    return _read_again(value, kind) if message.has_placeholder() else message


def load(raw: bytes) -> dict[str, Any] | Rejection:
    """Return the JSON object that ``raw`` holds."""
    value = raw.removeprefix(BOM)
    try:
        loaded = from_json(value, allow_inf_nan=False)
    except ValueError as error:
        return _why_no_json(value, str(error))
    return (
        loaded if isinstance(loaded, dict) else refuse(Reason.NOT_OBJECT, message="a JSON object is expected")
    )


def _read_again(value: bytes, kind: type[M]) -> M | Rejection:
    """Read what a first look has refused once more, without the fields that say nothing.

    Few messages come here.
    """
    loaded = load(value)
    if isinstance(loaded, Rejection):
        return loaded
    try:
        return kind.model_validate_json(to_json(without_absent(kind, loaded)))
    except ValidationError as error:
        return _explain(error)


def _why_no_object(value: bytes, error: ValidationError) -> Rejection | None:
    """Return why the bytes are no JSON object; None when they are one, and its fields are at fault."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return _why_no_json(value, first["msg"])
    if not first["loc"] and first["type"].startswith("model"):
        return refuse(Reason.NOT_OBJECT, message="a JSON object is expected")
    return None


def _explain(error: ValidationError) -> Rejection:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    problems = [
        Problem(
            loc=".".join(str(part)[:100] for part in d["loc"])[:500], type=d["type"], message=d["msg"][:300]
        )
        for d in details[:_MAX_PROBLEMS]
    ]
    version = [p for p in problems if p.type == Reason.UNSUPPORTED_VERSION.value]
    return (
        Rejection(reason=Reason.UNSUPPORTED_VERSION, problems=version)
        if version
        else Rejection(reason=Reason.SCHEMA, problems=problems)
    )


def _why_no_json(value: bytes, found: str) -> Rejection:
    """``found`` is what the parser says, which tells half a character from a broken text."""
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as error:
        return refuse(Reason.UNDECODABLE_TEXT, message=f"not UTF-8 at byte {error.start}")
    found = found.removeprefix("Invalid JSON: ")[:200]
    if "recursion" in found:
        return refuse(Reason.JSON_DECODE, message=f"nested deeper than {JSON_DEPTH} levels")
    if "hex escape" in found:
        return refuse(Reason.UNDECODABLE_TEXT, message=f"half a surrogate pair: {found}")
    return refuse(Reason.JSON_DECODE, message=f"not JSON: {found}")

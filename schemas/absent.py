"""What stands in a field and says nothing.

Null, blank text, and the words that programs write where a value is missing. In an optional field all of them
mean that the field is absent, as generated models of Java, Go and Python and page tags send it. "0" is an id:
some count from it. Required fields and entries of lists are never made up or ignored, but for ids that
name nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel

# What JavaScript, Python, Java, Go, SQL and Google Analytics write where there is nothing.
PROGRAM_WORDS = frozenset({"undefined", "null", "NaN", "None", "[object Object]", "(not set)", "(none)"})
# As an id also in other spellings, and the identifier of a device that hides its own.
NOBODY = frozenset(
    f(w)
    for w in (*PROGRAM_WORDS, "(null)", "nil", "<nil>")
    for f in (str, str.lower, str.upper, str.capitalize)
) | {"00000000-0000-0000-0000-000000000000"}
# Go's zero time.
_NO_TIME = "0001-01-01T00:00:00Z"


@dataclass(frozen=True)
class _Field:
    optional: bool
    names: bool  # it is an id, ids, or a currency
    inner: type[BaseModel] | None


def without_absent(kind: type[BaseModel], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a message that say something, also within its parts; unknown fields are left out.

    A required id that names nobody becomes null, so that it is refused where it stands.
    """
    fields = _fields(kind)
    kept: dict[str, Any] = {}
    for name, value in body.items():
        field = fields.get(name)
        if field is None or (field.optional and _says_nothing(value, field)):
            continue
        kept[name] = _inner(value, field)
    return kept


def _says_nothing(value: object, field: _Field) -> bool:
    if isinstance(value, str):
        return not value.strip() or value == _NO_TIME or (field.names and value.strip() in NOBODY)
    return value is None


def _inner(value: Any, field: _Field) -> Any:
    if field.names:
        if isinstance(value, list):
            return [entry for entry in value if not (isinstance(entry, str) and entry in NOBODY)]
        return None if isinstance(value, str) and value in NOBODY else value
    if field.inner is None:
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value
    if isinstance(value, dict):
        return without_absent(field.inner, value)
    if isinstance(value, list):
        return [without_absent(field.inner, entry) if isinstance(entry, dict) else entry for entry in value]
    return value


@cache
def _fields(kind: type[BaseModel]) -> dict[str, _Field]:
    """Return the fields of a message by every name under which they may come."""
    found: dict[str, _Field] = {}
    for name, field in kind.model_fields.items():
        alias = field.validation_alias
        known = _Field(
            optional=not field.is_required(),
            names=name.endswith(("_id", "_ids")) or name == "currency",
            inner=_model_in(field.annotation),
        )
        for choice in alias.choices if isinstance(alias, AliasChoices) else (name,):
            if isinstance(choice, str):
                found[choice] = known
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the message that a field holds, itself or in a list; None for values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner)) is not None), None)

"""Read fields of foreign records, whose types nobody has promised.

A value of an unexpected shape reads as absent; whether what is left suffices is decided by the raw contract
and ``inbound.validation``.
"""

import json
import re
from collections.abc import Mapping
from uuid import NAMESPACE_URL, uuid5

from inbound.importers.outcome import Body
from schemas.absent import NOBODY, PROGRAM_WORDS
from schemas.bounds import EXACT_INTEGER

Identity = str | int | float
_ORDINAL = re.compile(r"[0-9]{1,9}")


def present(**fields: object) -> Body:
    """Return the fields that say something: None, blank text and empty lists and objects are left out."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and value not in ("", [], {}) and not _is_blank(value)
    }


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def section(record: Mapping[str, object], name: str) -> Body:
    """Return a nested object; ``{}`` when there is none."""
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def objects(value: object) -> list[Body]:
    """Return the objects of a list; ``[]`` when it is no list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def listed(value: object) -> list[object]:
    """Return a list as it is; ``[]`` when it is none."""
    return value if isinstance(value, list) else []


def first_id(*candidates: object) -> Identity | None:
    """Return the first candidate that can be an id: text that is not blank and names somebody, or a number.

    ``12345.0``, as pandas writes an integer of a column with gaps, is the whole number. Another fraction
    stays one, for intake to refuse.
    """
    for found in candidates:
        if isinstance(found, str) and found.strip() and found.strip() not in NOBODY:
            return found.strip()
        if isinstance(found, float):
            return whole(found)
        if isinstance(found, int) and not isinstance(found, bool):
            return found
    return None


def whole(number: float) -> int | float:
    """Return ``12345.0`` as the whole number.

    Another fraction, or one that no reader of JSON holds exactly, is returned as it is.
    """
    return int(number) if number.is_integer() and abs(number) <= EXACT_INTEGER else number


def first_text(*candidates: object) -> str | None:
    """Return the first candidate that is a text and not blank.

    And no word that programs write where there is nothing.
    """
    return next(
        (f for f in candidates if isinstance(f, str) and f.strip() and f.strip() not in PROGRAM_WORDS), None
    )


def rank(position: object, base: int) -> int | None:
    """Return a foreign position, counted from ``base``, counted from 1.

    None when it is none or lies before the first.
    """
    if isinstance(position, str) and _ORDINAL.fullmatch(position.strip()):
        position = int(position)
    if isinstance(position, float) and position.is_integer():
        position = int(position)
    if not isinstance(position, int) or isinstance(position, bool):
        return None
    found = position + 1 - base
    return found if found >= 1 else None


def derived_id(source: str, record: Mapping[str, object]) -> str:
    """Return an event id for a record that has none.

    The same for the same content, so that importing twice counts once.
    """
    content = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return str(uuid5(NAMESPACE_URL, f"{source}:{content}"))

"""What an event is called: in raw records, dead letters, and by its place in ``events``. Pure."""

import json
import re
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from pydantic_core import from_json

from broker.dead_letters import origin_of
from broker.records import Record
from credit.places import offset_of
from schemas.pairs import Contribution
from schemas.topics import ERASURES, INTERACTIONS, SEARCHES, dead_letter_name

RAW = (SEARCHES.name, INTERACTIONS.name, ERASURES.name)
# Partition of ``events``, offset of the record there, index of the event in it.
EventPlace = tuple[int, int, int]
_PLACE = re.compile(r"([0-9]{1,6})-([0-9]{1,15})-([0-9]{1,6})")
_RAW_PLACE = re.compile(r"([0-9]{1,6})/([0-9]{1,15})")


def names_event(record: Record, event_id: str) -> bool:
    """Say whether a raw record is the event.

    By its body, its envelope, or, without an id of its own, by where it first lay.
    """
    wanted = event_id.encode()
    if record.value is not None and (
        wanted in record.value or json.dumps(event_id)[1:-1].encode() in record.value
    ):
        body = _object(record.value)
        if body is not None:
            return event_id in _ids_in(body)
    header = record.header("ce_id")
    return event_id == _by_place(record) if header is None else header == wanted


def event_id_of(record: Record) -> str:
    """Return what the event of a raw record is called."""
    body = _object(record.value) if record.value is not None else None
    named = [one for one in _ids_in(body) if isinstance(one, str) and one] if body is not None else []
    header = (record.header("ce_id") or b"").decode(errors="replace")
    return next((one for one in [*named, header] if one), "") or _by_place(record)


def origin(letter: Record) -> Record:
    """Return a dead letter as the record that it was; what its headers do not say, the letter says."""

    def number(name: str, otherwise: int) -> int:
        text = letter.header(f"__connect.errors.{name}") or b""
        return int(text) if text.isdigit() and len(text) <= 18 else otherwise

    topic = (
        letter.header("__connect.errors.topic") or letter.topic.removesuffix(dead_letter_name("")).encode()
    ).decode(errors="replace")
    place = number("partition", letter.partition), number("offset", letter.offset)
    return Record(topic, *place, letter.timestamp_ms, letter.key, letter.value, letter.headers)


def event_place(text: str) -> EventPlace | None:
    """Return a place in ``events`` as ``explain`` and contributions write it; None for another text.

    >>> event_place("3-1207-15"), event_place("e-1-2")
    ((3, 1207, 15), None)
    """
    found = _PLACE.fullmatch(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def raw_place(text: str) -> tuple[str, int, int] | None:
    """Return topic, partition and offset of a raw record, written with slashes; None for another text.

    >>> raw_place("searches/0/12"), raw_place("pairs/0/12")
    (('searches', 0, 12), None)
    """
    name, _, place = text.partition("/")
    found = _RAW_PLACE.fullmatch(place)
    return (name, int(found[1]), int(found[2])) if found and name in RAW else None


def place_of(caused: Contribution) -> EventPlace:
    """Return where the event lies that caused a contribution."""
    place, index, _ = caused.position
    return caused.source, offset_of(place), index


def _object(value: bytes) -> dict[str, Any] | None:
    try:
        body = from_json(value)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _ids_in(body: dict[str, Any]) -> list[object]:
    inner = body.get("data")
    outer = [body.get("event_id"), body.get("id") if isinstance(inner, dict) else None]
    return [*outer, inner.get("event_id")] if isinstance(inner, dict) else outer


def _by_place(record: Record) -> str:
    return str(uuid5(NAMESPACE_URL, origin_of(record)))

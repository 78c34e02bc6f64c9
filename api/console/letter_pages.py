"""A dead letter as a person reads it. Pure."""

import json

from pydantic import TypeAdapter, ValidationError

from broker.dead_letters import is_cut
from broker.records import Record
from operations.event_names import RAW, event_id_of, origin
from schemas.operator_http import LetterTold
from schemas.rejections import Problem

_PROBLEMS = TypeAdapter(list[Problem])


def errors_of(letter: LetterTold) -> list[Problem]:
    """Return what was wrong with the record; nothing where that cannot be read."""
    try:
        return _PROBLEMS.validate_json(letter.errors)
    except ValidationError:
        return []


def event_of(letter: Record) -> str | None:
    """Return what the event of a letter is called; None where it is a product's, or cut."""
    was = origin(letter)
    known = was.topic.endswith(RAW) and not is_cut(letter)
    return event_id_of(was) if known else None


def pretty(letter: LetterTold) -> str:
    """Return the record with its fields under each other where it is JSON, else as it is.

    Half a surrogate pair, which no page can hold, stays the escape that it came as.
    """
    try:
        text = json.dumps(json.loads(letter.value), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return letter.value
    return text.encode(errors="backslashreplace").decode()

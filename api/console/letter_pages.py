"""A dead letter as a person reads it. Pure."""

import json

from pydantic import TypeAdapter, ValidationError

from schemas.operator_http import LetterTold
from schemas.rejections import Problem

_PROBLEMS = TypeAdapter(list[Problem])


def errors_of(letter: LetterTold) -> list[Problem]:
    """Return what was wrong with the record; nothing where that cannot be read."""
    try:
        return _PROBLEMS.validate_json(letter.errors)
    except ValidationError:
        return []


def pretty(letter: LetterTold) -> str:
    """Return the record with its fields under each other where it is JSON, else as it is."""
    try:
        return json.dumps(json.loads(letter.value), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return letter.value

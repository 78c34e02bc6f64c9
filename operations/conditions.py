"""A condition as an operator writes it, and as text again: ``brand == Acme``. Pure."""

import json
import re

from pydantic import ValidationError

from schemas.numerals import number_of
from schemas.search import ATTRIBUTES, Filter

_SIGNS = {
    "==": "eq", "!=": "ne", "<=": "lte", ">=": "gte", "<": "lt", ">": "gt", "in": "in", "exists": "exists",
}  # fmt: skip
_EXACT = 2**53
_FORM = re.compile(r"\s*(attributes\..+?|\w+)\s*(==|!=|<=|>=|<|>|\bin\b|\bexists\b)\s*(.*\S)\s*", re.DOTALL)


class ConditionError(ValueError):
    """A text that is no condition: says what is expected."""


def condition(text: str) -> Filter:
    """Return the condition that a text says. Raises ``ConditionError``.

    A value may stand in quotes, as in JSON; those of ``in`` are a list of JSON, or parted by commas.

    >>> condition("price < 10").value, condition('category in Shoes, Bags').value
    (10.0, ['Shoes', 'Bags'])
    >>> condition("attributes.waterproof == true").value, condition("attributes.size exists true").op
    (True, 'exists')
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise ConditionError(
            f"{text!r} is no condition; expected FIELD OP VALUE, such as 'brand == Acme', 'price < 10' or "
            "'attributes.colour in red, blue'"
        )
    field, sign, said = form.groups()
    value: object = _value(said)
    if sign == "in":
        value = value if isinstance(value, list) else [part.strip() for part in said.split(",")]
    elif sign in {"<", "<=", ">", ">="} or field == "price":
        value = value if sign == "exists" else _number(said, text)
    elif not field.startswith(ATTRIBUTES) and sign != "exists" and not isinstance(value, str):
        value = said  # a brand may be a number
    try:
        return Filter.model_validate({"field": field, "op": _SIGNS[sign], "value": value})
    except ValidationError as error:
        what = error.errors(include_url=False, include_context=False, include_input=False)[0]["msg"]
        raise ConditionError(f"{text!r} is no condition: {what}") from error


def shown(one: Filter) -> str:
    """Return the text of a condition, from which ``condition`` makes it again."""
    sign = next(sign for sign, op in _SIGNS.items() if op == one.op)
    whole = isinstance(one.value, float) and one.value.is_integer() and abs(one.value) < _EXACT
    value = int(one.value) if whole else one.value  # type: ignore[arg-type]
    return f"{one.field} {sign} {json.dumps(value, ensure_ascii=False)}"


def _value(said: str) -> object:
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return said


def _number(said: str, text: str) -> float:
    try:
        return number_of(said)
    except ValueError as error:
        raise ConditionError(f"{text!r}: it is compared with a number") from error

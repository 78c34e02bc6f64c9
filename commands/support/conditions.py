"""A condition as an operator writes it, and as text again: ``brand == Acme``. Pure."""

import json
import re

from pydantic import ValidationError

from schemas.search import Filter

_SIGNS = {"==": "eq", "!=": "ne", "<=": "lte", ">=": "gte", "<": "lt", ">": "gt", "in": "in"}
_FORM = re.compile(r"\s*(\w+)\s*(==|!=|<=|>=|<|>|\bin\b)\s*(.*\S)\s*", re.DOTALL)


class ConditionError(ValueError):
    """A text that is no condition: says what is expected."""


def condition(text: str) -> Filter:
    """Return the condition that a text says. Raises ``ConditionError``.

    A value may stand in quotes, as in JSON; those of ``in`` are a list of JSON, or parted by commas.

    >>> condition("price < 10").value, condition('category in Shoes, Bags').value
    (10.0, ['Shoes', 'Bags'])
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise ConditionError(
            f"{text!r} is no condition; expected FIELD OP VALUE, such as 'brand == Acme' or 'price < 10'"
        )
    field, sign, said = form.groups()
    value: object = _value(said)
    if sign == "in":
        value = value if isinstance(value, list) else [part.strip() for part in said.split(",")]
    elif field == "price":
        value = _number(said, text)
    elif not isinstance(value, str):
        value = said  # a brand may be a number
    try:
        return Filter.model_validate({"field": field, "op": _SIGNS[sign], "value": value})
    except ValidationError as error:
        what = error.errors(include_url=False, include_context=False, include_input=False)[0]["msg"]
        raise ConditionError(f"{text!r} is no condition: {what}") from error


def shown(one: Filter) -> str:
    """Return the text of a condition, from which ``condition`` makes it again."""
    sign = next(sign for sign, op in _SIGNS.items() if op == one.op)
    value = f"{one.value:g}" if isinstance(one.value, float) else json.dumps(one.value, ensure_ascii=False)
    return f"{one.field} {sign} {value}"


def _value(said: str) -> object:
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return said


def _number(said: str, text: str) -> float:
    try:
        return float(said)
    except ValueError as error:
        raise ConditionError(f"{text!r}: a price is compared with a number") from error

"""Typed conditions to one Milvus expression.

Nothing a client sends reaches the expression but as an escaped literal. A value is cleaned as the stored text
was, so that a shop finds a brand by the very text it has sent. Ids are taken as they are. A category is a
path joined by `` > ``; a condition on it holds for the category itself and for all below it. A product
without a price meets no condition on the price.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from retrieval.rows import MAX_BYTES, PATH_SEPARATOR, cut
from schemas.search import Filter
from schemas.text import clean_text

_OPERATORS = {"eq": "==", "ne": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "lte": operator.le, "gt": operator.gt,
    "gte": operator.ge,
}  # fmt: skip


class FilterError(ValueError):
    """A condition that makes no sense for its field: a fault of the request."""


def expression(filters: Sequence[Filter]) -> str:
    """Return the conditions joined by AND, or ``""`` for none. Raises ``FilterError``.

    >>> expression([Filter(field="brand", value="Sony"), Filter(field="price", op="lt", value=99.5)])
    '(brand == "Sony") and (price >= 0.0 and price < 99.5)'
    """
    return " and ".join(f"({_expression(one)})" for one in parsed(filters))


@dataclass(frozen=True)
class Condition:
    """One condition, checked and in the form of the stored text.

    A text field holds for any of ``values``, or for none of them where ``negated``; ``price`` is compared
    with ``number`` by ``op`` (eq, ne, lt, lte, gt, gte).
    """

    field: str
    values: tuple[str, ...] = ()
    negated: bool = False
    op: str = ""
    number: float = 0.0


def parsed(filters: Sequence[Filter]) -> list[Condition]:
    """Return the conditions in their order. Raises ``FilterError``."""
    return [_price(f) if f.field == "price" else _textual(f) for f in filters]


def meets(conditions: Sequence[Condition], product_id: str, fields: Mapping[str, Any]) -> bool:
    """Say whether a product meets all conditions, as the index would say of its row.

    ``fields`` are those of its hit: brand, category, availability and price.
    """
    return all(_meets(one, product_id, fields) for one in conditions)


def _meets(one: Condition, product_id: str, fields: Mapping[str, Any]) -> bool:
    if one.field == "price":
        price = fields.get("price")
        return price is not None and _COMPARED[one.op](price, one.number)
    text = product_id if one.field == "product_id" else fields.get(one.field) or ""
    found = text in one.values or (one.field == "category" and any(p in one.values for p in above(text)))
    return found != one.negated


@lru_cache(4096)
def above(category: str) -> tuple[str, ...]:
    """Return the categories that hold a category, the widest first.

    >>> above("Shoes > Running > Trail")
    ('Shoes', 'Shoes > Running')
    """
    steps = category.split(PATH_SEPARATOR)
    return tuple(PATH_SEPARATOR.join(steps[:depth]) for depth in range(1, len(steps)))


def _price(f: Filter) -> Condition:
    if f.op == "in" or isinstance(f.value, list):
        raise FilterError("price takes one number: eq, ne, lt, lte, gt or gte")
    try:
        number = float(f.value)
    except ValueError as error:
        raise FilterError(f"price is compared with {f.value[:40]!r}, which is no number") from error  # type: ignore[index] # a str here
    if not math.isfinite(number):
        raise FilterError("price is compared with a number that is not finite")
    return Condition("price", op=f.op, number=number)


def _textual(f: Filter) -> Condition:
    if f.op in {"eq", "ne"}:
        return Condition(f.field, (_text(f),), negated=f.op == "ne")
    if f.op != "in":
        raise FilterError(f"{f.field} cannot be compared with {f.op!r}; use eq, ne or in")
    if not isinstance(f.value, list) or not f.value:
        raise FilterError(f"{f.field} in takes a list of at least one text")
    return Condition(f.field, tuple(_stored(f.field, value) for value in f.value))


def _text(f: Filter) -> str:
    if isinstance(f.value, list):
        raise FilterError(f"{f.field} {f.op} takes one text; use op 'in' for a list")
    if isinstance(f.value, float):
        return str(int(f.value)) if f.value.is_integer() else repr(f.value)
    return _stored(f.field, f.value)


@lru_cache(1024)  # a shop has few brands and categories, and repairing a text takes longer than looking it up
def _stored(field: str, value: str) -> str:
    """Return the form in which the index holds a text of this field."""
    if field == "product_id":
        return value
    cleaned = cut(clean_text(value), MAX_BYTES[field])
    if value and not cleaned:
        raise FilterError(f"{field} is compared with a text that holds nothing to read")
    return cleaned


def _expression(one: Condition) -> str:
    if one.field == "price":
        return f"price >= 0.0 and price {_OPERATORS[one.op]} {one.number!r}"
    if one.field == "category":
        found = " or ".join(_below(one.field, value) for value in one.values)
    elif len(one.values) == 1:
        found = f"{one.field} == {literal(one.values[0])}"
    else:
        found = f"{one.field} in [{', '.join(literal(value) for value in one.values)}]"
    return f"not ({found})" if one.negated else found


def _below(field: str, value: str) -> str:
    # All texts that start with "value > " lie between "value > " and "value >!": the space is 0x20, the mark
    # 0x21.
    return (
        f"{field} == {literal(value)} or ({field} >= {literal(value + ' > ')} and {field} < "
        f"{literal(value + ' >!')})"
    )


def among(ids: Sequence[str]) -> str:
    r"""Return the expression that holds for these products and no others. Raises ``FilterError``.

    Milvus' own client writes ids between bare quotes: there an apostrophe ends the id, and what follows it is
    a condition.

    >>> among(["p1", "o'neill"])
    'product_id in ["p1", "o\'neill"]'
    """
    return f"product_id in [{', '.join(literal(one) for one in ids)}]"


def literal(text: str) -> str:
    """Return ``text`` as a string literal of a Milvus expression.

    Control characters cannot be written on every backend and never occur in a stored text: they are refused.
    """
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in text):
        raise FilterError("a value holds a control character")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

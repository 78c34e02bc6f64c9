"""Typed conditions, and those of them that the index holds as one Milvus expression.

Nothing a client sends reaches the expression but as an escaped literal. A value is cleaned as the stored text
was, and compared in any case; the index alone compares texts as they are written, so ``as_written`` names it
every spelling that the shop has. Ids are taken as they are. A category is a path joined by `` > ``; a
condition on it holds for the category itself and for all below it. A product without a price meets no
condition on the price.

``traits`` says what attributes and ``group_id`` are compared by, and who meets such a condition is asked of
the catalogue; a collection that holds the attribute (``trait_columns``) can be asked, too. ``ne`` is the
opposite of ``eq``: it holds for products that lack the attribute, too. A range holds where one number of the
attribute lies in it.
"""

import math
import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from retrieval.rows import MAX_BYTES, PATH_SEPARATOR, cut
from retrieval.trait_columns import NO_NUMBER, NOTHING, TAGS, Held, reaching, tag_number
from retrieval.traits import NO_TRAITS, Traits, Value, number, same_field, spelling, tag, term
from schemas.numerals import number_of
from schemas.search import ATTRIBUTES, GROUP, Filter
from schemas.text import clean_text

_OPERATORS = {"eq": "==", "ne": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "lte": operator.le, "gt": operator.gt,
    "gte": operator.ge,
}  # fmt: skip
_NAMED = 100  # characters of a name in a message
_RANGES = frozenset({"lt", "lte", "gt", "gte"})
_SPELT = frozenset({"eq", "ne", "in"})
TEXTS = ("brand", "category", "availability")  # columns that are compared in any case


class FilterError(ValueError):
    """A condition that makes no sense for its field: a fault of the request."""


@dataclass(frozen=True)
class Condition:
    """One condition, checked.

    A text field holds for any of ``values``, in their ``forms``, or for none of them where ``negated``;
    ``written`` are the values as the index holds them. ``price`` is compared with ``number`` by ``op`` (eq,
    ne, lt, lte, gt, gte; negated: there is none). Of a trait (an attribute, or the group) ``values`` are
    tags, or, where there is an ``op``, the tag of the field whose numbers are compared.
    """

    field: str
    values: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    negated: bool = False
    op: str = ""
    number: float = 0.0

    @property
    def of_trait(self) -> bool:
        """Whether the catalogue is asked who meets it."""
        return is_trait(self.field)


def is_trait(field: str) -> bool:
    """Say whether a field is a trait of the catalogue, of which the index may have no column."""
    return field == GROUP or field.startswith(ATTRIBUTES)


def of_traits(filters: Iterable[Filter]) -> list[Filter]:
    """Return the filters on traits."""
    return [f for f in filters if is_trait(f.field)]


def in_index(one: Filter, held: Held) -> bool:
    """Say whether a collection that holds these attributes can be asked for a condition.

    Raises ``FilterError`` for a range of no number.
    """
    if not is_trait(one.field):
        return True
    return tag(same_field(one.field)) in held and (one.op not in _RANGES or abs(_number(one)) < NO_NUMBER)


def check(filters: Sequence[Filter]) -> None:
    """Raise ``FilterError`` for a condition that could not be asked."""
    expression([f for f in filters if not is_trait(f.field)])
    parsed(of_traits(filters))


def expression(filters: Sequence[Filter], held: Held = NOTHING) -> str:
    """Return the conditions joined by AND, or ``""`` for none.

    ``held``: what the collection holds of attributes. Raises ``FilterError``, also for any other trait.

    >>> expression([Filter(field="brand", value="Sony"), Filter(field="price", op="lt", value=99.5)])
    '(brand == "Sony") and (price >= 0.0 and price < 99.5)'
    """
    return " and ".join(f"({_expression(one, held)})" for one in parsed(filters))


def parsed(filters: Sequence[Filter]) -> list[Condition]:
    """Return the conditions in their order. Raises ``FilterError``."""
    return [
        _trait(f) if is_trait(f.field) else _price(f) if f.field == "price" else _textual(f) for f in filters
    ]


def meets(
    conditions: Sequence[Condition], product_id: str, fields: Mapping[str, Any], traits: Traits = NO_TRAITS
) -> bool:
    """Say whether a product meets all conditions, as the index and the catalogue would say.

    ``fields`` are those of its hit: brand, category, availability and price.
    """
    return all(_has(one, traits) if one.of_trait else _meets(one, product_id, fields) for one in conditions)


def _has(one: Condition, traits: Traits) -> bool:
    own = traits.own(one.field)
    if one.op:
        numbers = (n for value in own.values() if (n := number(value)) is not None)
        return any(_COMPARED[one.op](n, one.number) for n in numbers)
    tags = {tag(one.field), *(tag(one.field, value) for value in own)} if own else set()
    return tags.isdisjoint(one.values) == one.negated


def _meets(one: Condition, product_id: str, fields: Mapping[str, Any]) -> bool:
    if one.field == "price":
        price = fields.get("price")
        return one.negated if price is None else not one.negated and _COMPARED[one.op](price, one.number)
    text = product_id if one.field == "product_id" else fields.get(one.field) or ""
    return forms(one.field, text).isdisjoint(one.values) == one.negated


@lru_cache(4096)
def forms(field: str, text: str) -> frozenset[str]:
    """Return the forms in which a stored text is compared; of a category also of those that hold it.

    >>> sorted(forms("category", "Shoes > Running"))
    ['shoes', 'shoes > running']
    """
    if field == "product_id":
        return frozenset({text})
    return frozenset(map(spelling, (*above(text), text) if field == "category" else (text,)))


def as_written(filters: Sequence[Filter], spellings: Callable[[str, str], Collection[str]]) -> list[Filter]:
    """Return the filters on columns of the index with each text in every spelling that the index may hold.

    ``spellings`` says those of a field's form, as far as it holds them; the text as it is asked is always
    among them. Raises ``FilterError``.
    """
    found: list[Filter] = []
    for f, one in zip(filters, parsed(filters), strict=True):
        if f.op not in _SPELT or f.field not in TEXTS:
            found.append(f)
            continue
        texts: list[Value] = [
            spelt
            for form, text in zip(one.values, one.written, strict=True)
            for spelt in dict.fromkeys((*spellings(f.field, form), text))
        ]
        if one.negated:
            found += [Filter.model_construct(field=f.field, op="ne", value=text) for text in texts]
        else:
            found.append(Filter.model_construct(field=f.field, op="in", value=texts))
    return found


@lru_cache(4096)
def above(category: str) -> tuple[str, ...]:
    """Return the categories that hold a category, the widest first.

    >>> above("Shoes > Running > Trail")
    ('Shoes', 'Shoes > Running')
    """
    steps = category.split(PATH_SEPARATOR)
    return tuple(PATH_SEPARATOR.join(steps[:depth]) for depth in range(1, len(steps)))


def _price(f: Filter) -> Condition:
    if f.op == "exists":
        return Condition("price", negated=not _yes(f), op="gte", number=0.0)
    return Condition("price", op=f.op, number=_number(f))


def _number(f: Filter) -> float:
    if f.op == "in" or isinstance(f.value, list | bool):
        raise FilterError(f"{_name(f)} {f.op} takes one number")
    try:
        found = number_of(str(f.value))
    except ValueError as error:
        raise FilterError(f"{_name(f)} is compared with {str(f.value)[:40]!r}, which is no number") from error
    if not math.isfinite(found):
        raise FilterError(f"{_name(f)} is compared with a number that is not finite")
    return found


def _textual(f: Filter) -> Condition:
    if f.op in _RANGES or (f.op == "exists" and f.field == "product_id"):
        raise FilterError(f"{f.field} cannot be compared with {f.op!r}; use eq, ne or in")
    if f.op == "exists":
        return Condition(f.field, ("",), ("",), negated=_yes(f))
    written = tuple(_stored(f.field, _text(one)) for one in _values(f))
    values = written if f.field == "product_id" else tuple(map(spelling, written))
    return Condition(f.field, values, written, negated=f.op == "ne")


def _trait(f: Filter) -> Condition:
    name = same_field(f.field)
    if name == ATTRIBUTES:
        raise FilterError("an attribute's name holds nothing to read")
    if f.op in _RANGES:
        if name == GROUP:
            raise FilterError(f"{name} cannot be compared with {f.op!r}; use eq, ne, in or exists")
        return Condition(name, (tag(name),), op=f.op, number=_number(f))
    if f.op == "exists":
        return Condition(name, (tag(name),), negated=not _yes(f))
    terms = [_text(one) if name == GROUP else term(one) for one in _values(f)]
    if "" in terms:
        raise FilterError(f"{_name(f)} is compared with a text that holds nothing to read")
    return Condition(name, tuple(tag(name, one) for one in terms), negated=f.op == "ne")


def _values(f: Filter) -> list[Value]:
    """Return the one value of ``eq`` and ``ne``, or those of ``in``."""
    if f.op != "in":
        if isinstance(f.value, list):
            raise FilterError(f"{_name(f)} {f.op} takes one value; use op 'in' for a list")
        return [f.value]
    if not isinstance(f.value, list) or not f.value:
        raise FilterError(f"{_name(f)} in takes a list of at least one value")
    return f.value


def _yes(f: Filter) -> bool:
    """Return what ``exists`` asks for; over HTTP it comes as text."""
    found = {"true": True, "false": False}.get(term(f.value)) if isinstance(f.value, str | bool) else None
    if found is None:
        raise FilterError(f"{_name(f)} exists takes true or false")
    return found


def _name(f: Filter) -> str:
    return f.field if f.field.isprintable() and len(f.field) <= _NAMED else repr(f.field[:_NAMED])


def _text(value: Value) -> str:
    return value if isinstance(value, str) else term(value)


@lru_cache(1024)  # a shop has few brands and categories, and repairing a text takes longer than looking it up
def _stored(field: str, value: str) -> str:
    """Return the form in which the index holds a text of this field."""
    if field == "product_id":
        return value
    cleaned = cut(clean_text(value), MAX_BYTES[field])
    if value and not cleaned:
        raise FilterError(f"{field} is compared with a text that holds nothing to read")
    return cleaned


def _expression(one: Condition, held: Held) -> str:
    if one.of_trait:
        return _in_columns(one, held)
    if one.field == "price":
        if one.negated:
            return "price < 0.0"
        return f"price >= 0.0 and price {_OPERATORS[one.op]} {one.number!r}"
    if one.field == "category":
        found = " or ".join(_below(one.field, value) for value in one.written)
    elif len(one.written) == 1:
        found = f"{one.field} == {literal(one.written[0])}"
    else:
        found = f"{one.field} in [{', '.join(literal(value) for value in one.written)}]"
    return f"not ({found})" if one.negated else found


def _in_columns(one: Condition, held: Held) -> str:
    if (field := tag(one.field)) not in held:
        raise FilterError(f"the index has no column of {one.field[:80]!r}")
    if one.op:
        return f"{reaching(field, one.op)} {_OPERATORS[one.op]} {one.number!r}"
    found = f"array_contains_any({TAGS}, [{', '.join(str(tag_number(value)) for value in one.values)}])"
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

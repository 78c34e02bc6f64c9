"""What a product says of itself, in the one form by which filters, facets and groups compare it.

Here alone is decided when two spellings of a name or of a value are one: cleaned and case-folded as a query
is, and a text that is a plain number is that number. A ``tag`` stands for a name, or for a name with one
value, in 16 hexadecimal digits: so nothing that a shop or a client writes reaches an index or an expression
as it was written, however long it is. Pure; it knows no index.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import blake2b
from itertools import islice
from typing import Self

from schemas.products import Attribute, CatalogProduct
from schemas.search import ATTRIBUTES, GROUP
from schemas.text import normalise_query

Value = str | float | bool
# As a person writes a number. A zero in front makes it a code; longer ones are codes, too.
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,9})?", re.ASCII)
_SHORT = 100
_EXACT = 2**53


def spelling(text: str) -> str:
    r"""Return the form in which names and values are compared; "" for a text that holds nothing to read.

    >>> spelling(" Dark\u00a0RED ")
    'dark red'
    """
    return _remembered(text) if len(text) <= _SHORT else normalise_query(text)


_remembered = lru_cache(10_000)(normalise_query)  # a shop has few names and values, each thousands of times


def number(value: Value) -> float | None:
    """Return the finite number that a value is, or as text stands for.

    >>> number(42), number("42.50"), number("007"), number(True)
    (42.0, 42.5, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        cleaned = spelling(value)
        return float(cleaned) if _PLAIN_NUMBER.fullmatch(cleaned) else None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found + 0.0 if math.isfinite(found) else None  # no -0.0


def term(value: Value) -> str:
    """Return the form in which a value is compared; "" for one that says nothing.

    >>> term("Dark Red"), term(42.0), term("42.50"), term(True)
    ('dark red', '42', '42.5', 'true')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if (found := number(value)) is None:
        return spelling(str(value))
    if isinstance(value, int):
        return str(value)
    return str(int(found)) if found.is_integer() and abs(found) < _EXACT else repr(found)


def same_field(name: str) -> str:
    """Return the one form of a field's name."""
    return ATTRIBUTES + spelling(name.removeprefix(ATTRIBUTES)) if name.startswith(ATTRIBUTES) else name


def tag(name: str, value: str = "") -> str:
    """Return what stands for a field (in its one form) that a product has, or has with this value."""
    raw = f"{name}\0{value}".encode(errors="surrogatepass")
    return blake2b(raw, digest_size=8).hexdigest()


@dataclass(frozen=True)
class Traits:
    """What a product says of itself beside what its hits show.

    ``group_id`` is that of the product whose variant it is; ``first_seen_ms`` when it came.
    """

    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    group_id: str | None = None
    first_seen_ms: int | None = None

    @classmethod
    def of(cls, product: CatalogProduct) -> Self:
        """Take them of a product."""
        return cls(product.attributes, product.group_id, product.first_seen_ms)

    def own(self, name: str, most: int | None = None) -> Mapping[str, Value]:
        """Return the values of one field, in its one form, as ``values`` has them; no other is read.

        ``most``: as many of them are looked at; None: all.
        """
        if name == GROUP:
            return {self.group_id: self.group_id} if self.group_id else {}
        written = (value for key, value in self.attributes.items() if same_field(ATTRIBUTES + key) == name)
        each = islice((one for value in written for one in _single(value)), most)
        return {t: one for one in each if (t := term(one))}

    @cached_property
    def values(self) -> Mapping[str, Mapping[str, Value]]:
        """By field, in its one form: each value that says something, by its term, as the shop writes it."""
        found: dict[str, dict[str, Value]] = {}
        for name, value in self.attributes.items():
            own = {t: one for one in _single(value) if (t := term(one))}
            if own:
                found.setdefault(same_field(ATTRIBUTES + name), {}).update(own)
        if self.group_id:
            found[GROUP] = {self.group_id: self.group_id}
        return found

    @cached_property
    def tags(self) -> frozenset[str]:
        """The tags of all fields and values."""
        named = {tag(name) for name in self.values}
        return frozenset(named | {tag(name, one) for name, own in self.values.items() for one in own})

    @cached_property
    def numbers(self) -> Mapping[str, list[float]]:
        """The numbers of each field that has some, by the tag of the field."""
        found = {
            tag(name): [n for one in own.values() if (n := number(one)) is not None]
            for name, own in self.values.items()
            if name != GROUP
        }
        return {name: own for name, own in found.items() if own}


def _single(value: Attribute) -> Iterable[Value]:
    return value if isinstance(value, list) else (value,)


NO_TRAITS = Traits()

"""Attributes as columns of an index: what a collection holds of them, and what of a product lies there.

The tags of all of them lie in one array, as numbers; of each attribute, the least and the greatest of its
numbers in a column each. So a condition means what it means to the catalogue: ``eq``, ``ne``, ``in`` and
``exists`` ask for tags, and some number of an attribute lies above a limit where the greatest does. A
collection holds an attribute by the tag of its name (``Held``), and says so by its columns: it keeps those
that it was made with. Pure.
"""

import re
import sys
from collections.abc import Iterable
from typing import Any

from retrieval.traits import Traits, same_field, tag
from schemas.search import ATTRIBUTES

Held = frozenset[str]
NOTHING: Held = frozenset()
TAGS = "tags"
MOST_TAGS = 4096  # of one product: what an array of Milvus holds
NO_NUMBER = sys.float_info.max
_LEAST, _MOST = "least_", "most_"
_INVERTED = (2, 5)  # of numbers from 2.4 on, of arrays from one of the releases that followed


def held_of(names: Iterable[str]) -> Held:
    """Return what a collection of these attributes holds, each by its name, or as a filter names it."""
    return frozenset(tag(same_field(ATTRIBUTES + name.removeprefix(ATTRIBUTES))) for name in names)


def held_in(columns: Iterable[str]) -> Held:
    """Return what a collection with these columns holds."""
    return frozenset(one.removeprefix(_LEAST) for one in columns if one.startswith(_LEAST))


def number_columns(held: Held) -> list[str]:
    """Return the columns of numbers, sorted."""
    return sorted(side + one for one in held for side in (_LEAST, _MOST))


def indexes_of(held: Held, version: str) -> dict[str, str]:
    """Return the kind of index of each column, on a server of this version; before 2.5 the array has none.

    >>> indexes_of(frozenset({"c0"}), "v2.6.16")
    {'least_c0': 'INVERTED', 'most_c0': 'INVERTED', 'tags': 'INVERTED'}
    >>> indexes_of(frozenset({"c0"}), "v2.3.5-lite")
    {'least_c0': 'STL_SORT', 'most_c0': 'STL_SORT'}
    """
    if not held:
        return {}
    found = re.search(r"(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) >= _INVERTED:
        return dict.fromkeys([*number_columns(held), TAGS], "INVERTED")
    return dict.fromkeys(number_columns(held), "STL_SORT")


def reaching(field: str, op: str) -> str:
    """Return the column of the number that a range reaches first: ``field`` by its tag, lt lte gt or gte."""
    return (_MOST if op in {"gt", "gte"} else _LEAST) + field


def tag_number(one: str) -> int:
    """Return a tag as a whole number of 63 bits, which every backend can write and none reads as negative."""
    return int(one, 16) >> 1


def columns_of(traits: Traits, held: Held) -> dict[str, Any]:
    """Return the columns of a product.

    Where it has more than ``MOST_TAGS`` values of these attributes the last ones are left out: no condition
    on the index finds it by them. Without numbers the least is ``NO_NUMBER`` and the greatest its negative.
    """
    if not held:
        return {}
    own = {name: values for name, values in traits.values.items() if tag(name) in held}
    tags = [tag(name) for name in own] + [tag(name, one) for name, values in own.items() for one in values]
    found: dict[str, Any] = {TAGS: [tag_number(one) for one in tags[:MOST_TAGS]]}
    for field in held:
        numbers = traits.numbers.get(field, [])
        found[_LEAST + field] = min(numbers, default=NO_NUMBER)
        found[_MOST + field] = max(numbers, default=-NO_NUMBER)
    return found

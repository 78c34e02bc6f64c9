"""A finding before its examples are looked up."""

from collections.abc import Sequence
from typing import NamedTuple


class RawFinding(NamedTuple):
    """How many products have a ``kind`` of fault in a ``field``, or in one attribute (``attributes.NAME``).

    Each example is the numbers of rows that belong together, what is to be said of them where it is not their
    title, and how many they are of.
    """

    field: str
    kind: str
    products: int
    examples: Sequence[tuple[Sequence[int], str | None, int]]

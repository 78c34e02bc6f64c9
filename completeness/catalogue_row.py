"""One product as it is judged, wherever it was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.products import CatalogProduct


class FieldRefusal(NamedTuple):
    """Why intake does not take a field: ``kind`` is ``invalid`` or ``too_long``."""

    field: str
    kind: str
    message: str


class Deleted(NamedTuple):
    """A line that deletes a product."""

    product_id: str


class Unread(NamedTuple):
    """A line that holds no product, by its number, and why."""

    line: int
    why: str


@dataclass(frozen=True)
class CatalogueRow:
    """A product: ``product`` with clean texts, and of each field what the shop has sent (``sent``).

    A field that is not in ``sent``, or is None there, is absent. ``picture``: the name by which its picture
    is looked up, "" where there is none to look for. ``picture_problem``: why none was kept. ``unknown``:
    fields that nobody reads. ``refusals``: fields that intake does not take; ``refused``: the record as a
    whole.
    """

    product: CatalogProduct
    sent: Mapping[str, object]
    picture: str = ""
    picture_problem: str | None = None
    unknown: Sequence[str] = ()
    refusals: Sequence[FieldRefusal] = ()
    refused: str | None = None

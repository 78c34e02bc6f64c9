"""Which texts a training reads: of each query itself, of each product those of its fields. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from retrieval.document import FIELDS, PICTURE, TEXT, fields_of


class TriedFields(NamedTuple):
    """Fields that do not count yet, and the numbers of the products of which they are tried."""

    fields: Collection[str]
    products: Sequence[int]


@dataclass(frozen=True)
class FieldTexts:
    """The texts, those of the queries first, and where each field of queries and products stands among them.

    ``rows`` (queries + products, fields), in the order of ``FIELDS``; -1: there is none, or a picture.
    """

    texts: list[str]
    rows: npt.NDArray[np.int64]
    queries: int

    @classmethod
    def of(
        cls,
        queries: Sequence[str],
        products: Sequence[str],
        fields: Collection[str],
        tried: TriedFields | None = None,
    ) -> Self:
        """Take queries, and these fields of products (documents); a query is a text.

        Texts of products, blank ones, too, come once each in their order; of other fields equal ones are one.
        ``tried``: fields that some products have besides.
        """
        rows = np.full((len(queries) + len(products), len(FIELDS)), -1, dtype=np.int64)
        told = [fields_of(product) for product in products]
        texts = [*queries, *(own[TEXT] for own in told)]
        rows[:, FIELDS.index(TEXT)] = np.arange(len(texts))
        for column, name in enumerate(FIELDS):
            if name in {TEXT, PICTURE}:
                continue
            some = range(len(products)) if name in fields else _products_of(tried, name)
            first: dict[str, int] = {}
            for product in some:
                if text := told[product][name]:
                    rows[len(queries) + product, column] = first.setdefault(text, len(texts) + len(first))
            texts += first
        return cls(texts, rows, len(queries))

    @property
    def fused(self) -> bool:
        """Whether a product has more than its text."""
        return len(self.texts) > len(self.rows)


def _products_of(tried: TriedFields | None, name: str) -> Sequence[int]:
    return tried.products if tried is not None and name in tried.fields else ()

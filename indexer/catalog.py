"""The clean catalogue in memory, as the topic ``catalog`` tells it: which changes count, and which are stale.

A version that is not above the known one is stale; after a deletion only a lower one is. It knows no index and no model.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from broker.records import Record
from schemas.products import CatalogProduct


@dataclass
class Catalog:
    """Products by id, and the next offset to read per partition. Counts what it passes over."""

    products: dict[str, CatalogProduct] = field(default_factory=dict)
    offsets: dict[int, int] = field(default_factory=dict)
    stale: int = 0
    unreadable: int = 0
    _gone: dict[str, int] = field(default_factory=dict)

    def apply(self, records: Iterable[Record]) -> set[str]:
        """Take records in, in the order of the log. Returns the ids of the products that changed or went."""
        changed: set[str] = set()
        for record in records:
            self.offsets[record.partition] = record.offset + 1
            product_id = self._delete(record) if record.value is None else self._upsert(record)
            if product_id is not None:
                changed.add(product_id)
        return changed

    def _delete(self, record: Record) -> str | None:
        product_id = (record.key or b"").decode(errors="replace")
        old = self.products.pop(product_id, None)
        if old is None:
            return None
        self._gone[product_id] = old.version
        return product_id

    def _upsert(self, record: Record) -> str | None:
        product = _read(record)
        if product is None:
            self.unreadable += 1
            return None
        old = self.products.get(product.product_id)
        floor = old.version + 1 if old else self._gone.get(product.product_id, product.version)
        if product.version < floor:
            self.stale += 1
            return None
        self._gone.pop(product.product_id, None)
        self.products[product.product_id] = product
        return product.product_id


def _read(record: Record) -> CatalogProduct | None:
    try:
        product = CatalogProduct.from_json(record.value or b"")
    except ValidationError:
        return None
    named = record.key is not None and record.key.decode(errors="replace") == product.product_id
    return product if named and product.product_id and (product.price is None or product.price >= 0) else None


def out_of_step(products: Mapping[str, CatalogProduct], rows: Mapping[str, int]) -> set[str]:
    """Return the ids whose row (``rows``: id to version) is missing, older than the catalogue, or of no product any more."""
    missing_or_old = {i for i, product in products.items() if rows.get(i, -1) < product.version}
    return missing_or_old | (rows.keys() - products.keys())

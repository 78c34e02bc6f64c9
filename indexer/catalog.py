"""The clean catalogue in memory, as the topic ``catalog`` tells it.

Which changes count, which are stale, which no index can hold. A version that is not above the known one is
stale. A deletion forgets the version too: what is created again may begin at any. A record that cannot be
read, or whose product does not fit the index, is skipped and counted: the others go on. It knows no
model.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from broker.guarding import judged
from broker.records import Record
from retrieval.catalog_record import read_product
from schemas.products import CatalogProduct
from schemas.rejections import Rejection

SHOWN_PROBLEMS = 5


@dataclass
class CatalogState:
    """Products by id, and the next offset to read per partition.

    Counts what it skips; ``problems`` are the newest, in words.
    """

    products: dict[str, CatalogProduct] = field(default_factory=dict)
    offsets: dict[int, int] = field(default_factory=dict)
    stale: int = 0
    unreadable: int = 0
    problems: list[str] = field(default_factory=list)

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
        return product_id if self.products.pop(product_id, None) is not None else None

    def _upsert(self, record: Record) -> str | None:
        read = judged(lambda r: read_product(r.key, r.value), record)
        if not isinstance(read, CatalogProduct):
            self.unreadable += 1
            problem = read.problems[0].message if isinstance(read, Rejection) else read
            self.problems = [
                *self.problems,
                f"{problem} (partition {record.partition}, offset {record.offset})",
            ][-SHOWN_PROBLEMS:]
            return None
        old = self.products.get(read.product_id)
        if old and read.version <= old.version:
            self.stale += 1
            return None
        self.products[read.product_id] = read
        return read.product_id


def out_of_step(products: Mapping[str, CatalogProduct], rows: Mapping[str, int]) -> set[str]:
    """Return the ids whose row is missing, of another version, or of no product any more.

    ``rows``: id to version; another version than the catalogue's. A greater version is as wrong as a lower
    one: the product was deleted and created again, and counts anew.
    """
    missing_or_other = {i for i, product in products.items() if rows.get(i) != product.version}
    return missing_or_other | (rows.keys() - products.keys())

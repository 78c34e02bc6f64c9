"""A catalogue as it passes by: what is counted, and the numbers that are compared at the end.

Some 90 bytes a product stay in memory, titles and ids lie in the spool. It decides how many examples are
kept, and nothing else.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from completeness.catalogue_row import CatalogueRow
from completeness.model_window import ModelWindow
from completeness.pictures_alike import Print, print_of
from completeness.product_faults import FIELDS, ProductFault, faults_of
from completeness.row_spool import RowSpool, SpooledRow
from completeness.titles_alike import TitleSketcher, TitleSketches, same_form
from retrieval.document import document_text
from retrieval.traits import number
from schemas.products import Attribute, CatalogProduct
from schemas.rejections import Rejection

# Gives the prepared picture of a name, why there is none, or None: it is not there.
PictureSource = Callable[[str], bytes | Rejection | None]

EXAMPLES = 5
_BLOCK = 2048
_GROUPS = 50_000  # of categories and currencies whose prices are told apart
_NAMES = 1000  # of attributes
_NUMBER_CHARS = 9
_KEPT_CHARS = 500
_COLUMNS = {
    "product_id": np.uint64,
    "owner": np.uint64,
    "title": np.uint64,
    "description": np.uint64,
    "picture": np.uint64,
    "content": np.uint64,
    "price": np.float64,
    "price_group": np.int32,
    "faulty": np.uint16,
}


@dataclass
class AttributeCounts:
    """Products that have an attribute, and how many of them with a value of each type."""

    products: int = 0
    types: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[tuple[int, str]]] = field(default_factory=dict)


@dataclass
class CatalogueTally:
    """Takes rows, in any order, each once; then ``end``.

    ``most_pictures``: of how many pictures are looked at; ``where_none``: the kind of finding where the
    source has none of a name. ``counts`` and ``examples`` are by the name of a finding, an example is the
    number of a row and a value.
    """

    spool: RowSpool
    window: ModelWindow | None = None
    pictures: PictureSource | None = None
    most_pictures: int = 0
    where_none: str = "broken"
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    attributes: dict[str, AttributeCounts] = field(default_factory=dict)
    unknown: dict[str, tuple[int, list[tuple[int, str]]]] = field(default_factory=dict)
    price_groups: dict[str, int] = field(default_factory=dict)
    sketcher: TitleSketcher = field(default_factory=TitleSketcher)
    prints: list[Print] = field(default_factory=list)
    printed_rows: list[int] = field(default_factory=list)
    pictures_looked_at: int = 0
    pictures_named: int = 0
    columns: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._block: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        self._titles: list[str] = []
        self._texts: list[tuple[str, str]] = []
        self._kept: dict[str, list[Any]] = {name: [] for name in (*_COLUMNS, *TitleSketches._fields)}

    def take(self, row: CatalogueRow) -> None:
        """Count a product. Raises what the source of pictures does."""
        number_of_row, product = len(self.spool), row.product
        form = same_form(product.title)
        self.spool.add(
            SpooledRow(
                product.product_id,
                product.title[:_KEPT_CHARS],
                row.picture,
                product.description[:_KEPT_CHARS],
            )
        )
        faults = [*faults_of(row), *self._of_picture(row, number_of_row)]
        for fault in faults:
            self.add(fault, number_of_row)
        self._count_attributes(product.attributes, number_of_row)
        self._count_unknown(row, number_of_row)
        values = {
            "product_id": _hash(product.product_id),
            "owner": _hash(product.group_id or f"\0{product.product_id}"),
            "title": _hash(form),
            "description": _hash(product.description),
            "picture": _hash(row.picture),
            "content": _content(row),
            "price": np.nan if product.price is None else product.price,
            "price_group": self._price_group(product),
            "faulty": _mask(fault.field for fault in faults),
        }
        for name, value in values.items():
            self._block[name].append(value)
        self._titles.append(form)
        self._texts.append((document_text(product), product.title))
        if len(self._titles) == _BLOCK:
            self._put_away()

    def add(self, fault: ProductFault, row: int) -> None:
        """Count a fault of a product, and keep its first examples."""
        self.counts[fault.name] += 1
        if len(kept := self.examples.setdefault(fault.name, [])) < EXAMPLES:
            kept.append((row, fault.value))

    def end(self) -> None:
        """Put the last block away: ``columns`` are complete, with those of ``TitleSketches``."""
        self._put_away()
        self.columns = {name: np.concatenate(self._kept.pop(name)) for name in list(self._kept)}

    def _put_away(self) -> None:
        first = len(self.spool) - len(self._titles)
        for name, kind in _COLUMNS.items():
            self._kept[name].append(np.array(self._block[name], kind))
            self._block[name].clear()
        for name, own in self.sketcher.sketches(self._titles)._asdict().items():
            self._kept[name].append(own)
        self._count_tokens(first)
        self._titles.clear()
        self._texts.clear()

    def _count_tokens(self, first: int) -> None:
        """Count the texts that are longer than the model reads, and titles that are so by themselves."""
        if self.window is None:
            return
        counted = self.window.tokens([text for text, _ in self._texts])
        cut = [(n, tokens) for n, tokens in enumerate(counted) if tokens and tokens > self.window.length]
        titles = self.window.tokens([self._texts[n][1] for n, _ in cut])
        for (n, tokens), alone in zip(cut, titles, strict=True):
            self.add(ProductFault("text", "cut", f"{tokens} tokens of {self.window.length}"), first + n)
            if alone and alone > self.window.length:
                self.add(ProductFault("title", "cut", f"{alone} tokens of {self.window.length}"), first + n)
                self._kept["faulty"][-1][n] |= _mask(["title"])

    def _of_picture(self, row: CatalogueRow, number_of_row: int) -> Sequence[ProductFault]:
        self.pictures_named += bool(row.picture)
        if self.pictures is None or not row.picture or self.pictures_looked_at >= self.most_pictures:
            return ()
        self.pictures_looked_at += 1
        found = self.pictures(row.picture)
        if isinstance(found, Rejection):
            return (ProductFault("image", found.reason.value, f"{row.picture}: {found.problems[0].message}"),)
        try:
            seen = None if found is None else print_of(found)
        except ValueError:  # as for the encoder, it is none
            seen = None
        if seen is None:
            return (ProductFault("image", self.where_none, row.picture),)
        self.prints.append(seen)
        self.printed_rows.append(number_of_row)
        return ()

    def _count_attributes(self, attributes: dict[str, Attribute], row: int) -> None:
        for name, value in attributes.items():
            if name not in self.attributes and len(self.attributes) >= _NAMES:
                continue
            counts = self.attributes.setdefault(name, AttributeCounts())
            counts.products += 1
            kind = _type_of(value)
            counts.types[kind] += 1
            if len(kept := counts.examples.setdefault(kind, [])) < EXAMPLES:
                kept.append((row, f"{name}: {value}"[:200]))

    def _count_unknown(self, row: CatalogueRow, number_of_row: int) -> None:
        for name in row.unknown:
            if name in self.unknown or len(self.unknown) < _NAMES:
                count, kept = self.unknown.get(name, (0, []))
                if len(kept) < EXAMPLES:
                    kept.append((number_of_row, f"{name}: {row.sent[name]}"[:200]))
                self.unknown[name] = count + 1, kept

    def _price_group(self, product: CatalogProduct) -> int:
        if product.price is None or not product.category_path:
            return 0
        name = "\0".join((product.currency or "", *product.category_path))
        if name not in self.price_groups and len(self.price_groups) >= _GROUPS:
            return 0
        return self.price_groups.setdefault(name, len(self.price_groups) + 1)


def _type_of(value: Attribute) -> str:
    if isinstance(value, bool):
        return "flags"
    if isinstance(value, list):
        return "lists"
    if isinstance(value, str):
        # A longer one is a code: a barcode is no amount.
        return "texts" if len(value) > _NUMBER_CHARS or number(value) is None else "numbers_as_text"
    return "numbers"


def _content(row: CatalogueRow) -> int:
    """Return a number for all that a shopper sees but the id."""
    product = row.product
    parts = (
        product.title, product.description, product.brand, product.category_path, product.price,
        sorted(product.attributes.items(), key=lambda item: item[0]), row.picture,
    )  # fmt: skip
    return _hash(repr(parts))


def _hash(text: str) -> int:
    """Return 64 bits for a text; 0 for none."""
    if not text:
        return 0
    return (
        int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1
    )


def _mask(fields: Any) -> int:
    return sum({1 << FIELDS.index(name) for name in fields if name in FIELDS})

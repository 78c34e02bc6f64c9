"""Real products with pictures, and shoppers made up who ask for what the products' attributes tell.

The attributes are a list like ``Apparel - Topwear - Shirts - Blue - Casual``; no model reads them. A query is
one or two of them, and wants every product that has them. Products are trained, held out for validation, or
tested, by a hash of their id. Purchases of a query go to trained products, by a popularity drawn for each.
"""

import hashlib
import json
import tarfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal, NamedTuple, Self

import numpy as np
import polars as pl

from artefacts.store import ArtefactStore
from benchmarks.harness.report import read_jsonl
from broker.records import Record
from inbound.validation import validate_product
from media.images import prepare
from media.pictures import Pictures
from media.preparation import picture_key
from retrieval.document import document_of, text_of
from schemas.products import CatalogProduct
from schemas.rejections import Rejection
from schemas.settings import StreamSettings
from schemas.text import normalise_query
from trainer.learning.training_data import TrainingData

Part = Literal["train", "validation", "test"]
SHARES: Mapping[Part, float] = {"train": 0.7, "validation": 0.1, "test": 0.2}
TOLD = " - "
GENERAL = 2  # the first attributes say what everything of a department has
LEAST = 3  # trained products that a query must want: of fewer nobody learns
PURCHASES = 40  # of a query


class PicturedProducts(NamedTuple):
    """Documents and attributes by product, how many pictures were prepared, and the refused by reason."""

    documents: dict[str, str]
    attributes: dict[str, list[str]]
    prepared: int
    refused: dict[str, int]


def read_pictured_products(products: Path, images: Path, store: ArtefactStore) -> PicturedProducts:
    """Read products and prepare their pictures into the store; what is refused goes without."""
    documents, attributes = {}, {}
    refused: dict[str, int] = defaultdict(int)
    prepared = 0
    with tarfile.open(images) as tar:
        for number, row in enumerate(read_jsonl(products)):
            told = {name: row[name] for name in ("product_id", "title", "category") if row.get(name)}
            record = Record(
                "products", 0, number, 0, str(row["product_id"]).encode(), json.dumps(told).encode()
            )
            product = validate_product(record, StreamSettings())
            if not isinstance(product, CatalogProduct):
                refused["product"] += 1
                continue
            found = _prepared(tar, row.get("image"), store)
            if isinstance(found, Rejection):
                refused[found.reason.value] += 1
            elif found is not None:
                prepared += 1
                product = product.model_copy(update={"image_key": found})
            documents[product.product_id] = document_of(product)
            attributes[product.product_id] = str(row.get("attributes", "")).split(TOLD)[GENERAL:]
    return PicturedProducts(documents, attributes, prepared, dict(refused))


def _prepared(tar: tarfile.TarFile, name: str | None, store: ArtefactStore) -> str | Rejection | None:
    try:
        file = tar.extractfile(name) if name else None
    except KeyError:
        file = None
    if file is None:
        return None
    original = file.read()
    found = prepare(original)
    if isinstance(found, Rejection):
        return found
    key = picture_key(hashlib.sha256(original).hexdigest())
    store.put(key, found)
    return key


@dataclass(frozen=True)
class PicturedShop:
    """The products, what each query wants, and how popular each product is."""

    documents: dict[str, str]
    wants: dict[str, list[str]]
    popularity: dict[str, float]

    @classmethod
    def of(cls, read: PicturedProducts, *, seed: int) -> Self:
        """Make the queries: one or two attributes that at least ``LEAST`` trained products have."""
        wants: dict[str, list[str]] = defaultdict(list)
        for product, own in sorted(read.attributes.items()):
            names = sorted({normalise_query(name) for name in own} - {""})
            for query in {*names, *(f"{b} {a}" for a, b in combinations(names, 2))}:
                wants[query].append(product)
        asked = {
            query: products
            for query, products in sorted(wants.items())
            if sum(part_of(p) == "train" for p in products) >= LEAST
        }
        drawn = np.random.default_rng(seed).zipf(1.8, len(read.documents)).clip(max=50)
        return cls(read.documents, asked, dict(zip(sorted(read.documents), drawn.tolist(), strict=True)))

    def texts(self) -> list[str]:
        """Return what a vocabulary is made of: titles of trained products, and queries."""
        return [*(text_of(self.documents[i]) for i in self.part("train")), *self.wants]

    def part(self, part: Part) -> list[str]:
        """Return the products of a part, sorted."""
        return sorted(i for i in self.documents if part_of(i) == part)

    def wanted(self, part: Part) -> dict[str, list[str]]:
        """Return for each query with any the products of a part that it wants."""
        found = {query: [i for i in own if part_of(i) == part] for query, own in self.wants.items()}
        return {query: own for query, own in found.items() if own}

    def pairs(self, seed: int = 0) -> pl.DataFrame:
        """Return the purchases of trained products: query, product_id, weight."""
        rng, rows = np.random.default_rng(seed), []
        for query, products in self.wanted("train").items():
            shares = np.array([self.popularity[i] for i in products])
            bought = rng.multinomial(PURCHASES, shares / shares.sum())
            rows += [(query, i, float(np.log2(1 + n))) for i, n in zip(products, bought, strict=True) if n]
        schema = {"query": pl.String, "product_id": pl.String, "weight": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
            pl.col("weight") / pl.col("weight").mean()
        )

    def training_data(self, pairs: pl.DataFrame, pictures: Pictures) -> TrainingData:
        """Return what the trainer is given; queries over products held out for it decide when to stop."""
        inner = [(query, i, 1.0) for query, own in self.wanted("validation").items() for i in own]
        return TrainingData(
            pairs,
            known=_known(self.wanted("train")),
            texts=self.documents,
            inner=pl.DataFrame(
                inner, schema={"query": pl.String, "product_id": pl.String, "gain": pl.Float64}, orient="row"
            ),
            pictures=pictures,
        )


def part_of(product: str) -> Part:
    """Return which part a product belongs to, by a hash of its id."""
    place = int.from_bytes(hashlib.sha256(product.encode()).digest()[:4], "big") / 2**32
    return "train" if place < SHARES["train"] else "test" if place >= 1 - SHARES["test"] else "validation"


def _known(wanted: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    rows = [(query, product) for query, own in wanted.items() for product in own]
    return pl.DataFrame(rows, schema={"query": pl.String, "product_id": pl.String}, orient="row")

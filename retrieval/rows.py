"""What lies in the index and what comes out of it, as plain data, and the checks that keep bad rows out.

Milvus takes NaN vectors and Lite counts characters where the server counts bytes: nothing reaches either
unchecked.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from retrieval.trait_columns import NOTHING, Held, columns_of
from retrieval.traits import NO_TRAITS, Traits
from schemas.bounds import ID_BYTES, VERSION
from schemas.products import CatalogProduct

PATH_SEPARATOR = " > "
MAX_BYTES = {"product_id": ID_BYTES, "title": 1024, "brand": 1024, "category": 2048, "availability": 256}
SHOWN = ("title", "brand", "category", "availability")
NO_PRICE = -1.0
UNIT_TOLERANCE = 1e-3


class RowError(ValueError):
    """A row or a vector that must not reach the index: says which and why."""


@dataclass(frozen=True)
class Row:
    """One product in one generation.

    ``vector`` is (dim,) float32 of length 1; ``category`` the path joined by `` > ``. ``traits`` are written
    as far as a collection holds them, and do not come back.
    """

    product_id: str
    vector: npt.NDArray[np.float32]
    generation: int
    title: str
    brand: str = ""
    category: str = ""
    price: float | None = None
    availability: str = ""
    version: int = 0
    traits: Traits = NO_TRAITS

    @classmethod
    def of(cls, product: CatalogProduct, vector: npt.NDArray[np.float32], generation: int) -> Self:
        """Build the row of a product."""
        return cls(
            product_id=product.product_id,
            vector=vector,
            generation=generation,
            title=product.title,
            brand=product.brand,
            category=PATH_SEPARATOR.join(product.category_path),
            price=product.price,
            availability=product.availability or "",
            version=product.version,
            traits=Traits.of(product),
        )


@dataclass(frozen=True)
class IndexHit:
    """One hit.

    ``score`` is the inner product, 1.0 at best; ``fields`` are title, brand, category, price, availability.
    """

    product_id: str
    score: float
    generation: int
    fields: dict[str, Any]


def check_vectors(vectors: npt.NDArray[np.float32], dim: int) -> None:
    """Raise ``RowError`` unless the vectors are (n, dim), finite and of length 1."""
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise RowError(f"vectors have shape {vectors.shape}, the collection takes (n, {dim})")
    if not np.isfinite(vectors).all():
        raise RowError("a vector holds NaN or infinity")
    lengths = np.linalg.norm(vectors, axis=1)
    if vectors.shape[0] and float(np.abs(lengths - 1.0).max()) > UNIT_TOLERANCE:
        raise RowError(
            f"a vector has length {float(lengths[np.abs(lengths - 1.0).argmax()]):.4f}, expected 1"
        )


def misfit(row: "Row | CatalogProduct") -> str | None:
    """Return why the index cannot hold a row, or a product whatever its vector; None where it can."""
    width = len(row.product_id.encode(errors="surrogatepass"))
    if not 0 < width <= MAX_BYTES["product_id"]:
        return f"product_id {row.product_id[:80]!r} has {width} bytes, 1 to {MAX_BYTES['product_id']} fit"
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in row.product_id):
        return f"product_id {row.product_id[:80]!r} holds a control character"
    if row.price is not None and not 0 <= row.price < math.inf:
        return f"the price of {row.product_id!r} is not a finite amount"
    if not 0 <= row.version <= VERSION:
        return f"the version of {row.product_id!r} does not fit 64 bits"
    return None


def to_entities(rows: Sequence[Row], dim: int, held: Held = NOTHING) -> list[dict[str, Any]]:
    """Return the rows as a collection takes them that holds these attributes.

    Texts are cut at their byte limit, an absent price is stored as -1. Raises ``RowError`` for a bad vector,
    an id that is too long (an id is never cut), one with a control character (no condition could name it), an
    id given twice, or a bad price.
    """
    if not rows:
        return []
    check_vectors(np.stack([r.vector for r in rows]), dim)
    seen: set[str] = set()
    entities = []
    for r in rows:
        if problem := misfit(r):
            raise RowError(problem)
        if r.product_id in seen:
            raise RowError(f"product_id {r.product_id!r} is given twice in one write")
        seen.add(r.product_id)
        entities.append(
            {
                "product_id": r.product_id,
                "vector": r.vector.astype(np.float32),
                "generation": r.generation,
                "title": cut(r.title, MAX_BYTES["title"]),
                "brand": cut(r.brand, MAX_BYTES["brand"]),
                "category": cut(r.category, MAX_BYTES["category"]),
                "price": NO_PRICE if r.price is None else float(r.price),
                "availability": cut(r.availability, MAX_BYTES["availability"]),
                "version": r.version,
            }
            | columns_of(r.traits, held)
        )
    return entities


def from_entity(entity: dict[str, Any]) -> Row:
    """Return the row of a stored entity, its vector included."""
    return Row(
        product_id=str(entity["product_id"]),
        vector=np.asarray(entity["vector"], dtype=np.float32),
        generation=int(entity["generation"]),
        title=str(entity["title"]),
        brand=str(entity["brand"]),
        category=str(entity["category"]),
        price=known_price(entity["price"]),
        availability=str(entity["availability"]),
        version=int(entity["version"]),
    )


def known_price(stored: float) -> float | None:
    """Return a stored price, or None where the product has none."""
    return None if stored < 0 else float(stored)


def cut(text: str, limit: int) -> str:
    """Return the longest start of ``text`` that has at most ``limit`` UTF-8 bytes.

    Never splits a character.
    """
    raw = text.encode()
    return text if len(raw) <= limit else raw[:limit].decode(errors="ignore")


def to_found(raw: Sequence[Mapping[str, Any]], k: int) -> list[IndexHit]:
    """Return at most k hits by falling score, a tie by the smaller id.

    Lite may give a product twice after a crash: the better stays.
    """
    found: dict[str, IndexHit] = {}
    for hit in raw:
        entity = hit["entity"]
        product_id = str(entity["product_id"])
        fields = {field: entity[field] for field in SHOWN} | {"price": known_price(entity["price"])}
        one = IndexHit(product_id, float(hit["distance"]), int(entity["generation"]), fields)
        if product_id not in found or one.score > found[product_id].score:
            found[product_id] = one
    return sorted(found.values(), key=lambda f: (-f.score, f.product_id))[:k]

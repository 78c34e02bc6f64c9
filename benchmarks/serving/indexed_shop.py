"""What the search benchmark searches.

Products, queries and vectors, each encoded once, and a collection of them that a searcher serves.
"""

import gzip
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.harness.report import read_jsonl, say
from broker.producing import open_producer
from broker.records import Outgoing
from retrieval.document import document_text
from retrieval.encoder import Encoder
from retrieval.golden_vectors import GoldenVectors
from retrieval.index import Row, VectorStore
from schemas.products import CatalogProduct
from schemas.releases import LivePointer, Ranking, Release, ReleaseState
from schemas.settings import Settings
from schemas.text import clean_text
from simulator.shop import Shop

Vectors = npt.NDArray[np.float32]
QUERIES = 400
_CHUNK = 2048


@dataclass(frozen=True)
class IndexedShop:
    """Products, and what shoppers ask, each text once.

    Row i of ``vectors`` is the document of product i.
    """

    products: list[CatalogProduct]
    vectors: Vectors
    queries: list[str]


class Grounds:
    """Makes grounds of any size. Those that the file covers are nested, so its products are encoded once."""

    def __init__(self, file: Path | None, encoder: Encoder, seed: int) -> None:
        self._encoder = encoder
        self._seed = seed
        self._listed = _read(file) if file is not None else []
        Random(f"products:{seed}").shuffle(self._listed)
        self._encoded: Vectors = np.zeros((0, encoder.dim), dtype=np.float32)

    def of(self, size: int) -> IndexedShop:
        """Return the ground of a size.

        Of the file where it has that many products, else of a simulated shop.
        """
        if size > len(self._listed):
            shop = Shop(seed=self._seed, end=datetime.now(UTC), products=size)
            found = [_product(fields) for r in shop.products() if (fields := _fields(r.value)) is not None]
            products = list({p.product_id: p for p in found if p is not None}.values())
            queries = [q.text for q in shop.queries(shop.weeks - 1, QUERIES)]
            return IndexedShop(products, self._encode(products), list(dict.fromkeys(queries)))
        if size > len(self._encoded):
            self._encoded = np.concatenate(
                [self._encoded, self._encode(self._listed[len(self._encoded) : size])]
            )
        products = self._listed[:size]
        return IndexedShop(products, self._encoded[:size], queries_from_titles(products, self._seed))

    def _encode(self, products: Sequence[CatalogProduct]) -> Vectors:
        parts = [np.zeros((0, self._encoder.dim), dtype=np.float32)]
        for start in range(0, len(products), _CHUNK):
            parts.append(
                self._encoder.encode_documents([document_text(p) for p in products[start : start + _CHUNK]])
            )
            say(f"encoded {min(start + _CHUNK, len(products))} of {len(products)} products")
        return np.concatenate(parts)


def queries_from_titles(products: Sequence[CatalogProduct], seed: int) -> list[str]:
    """Return up to 400 different queries.

    One to four words in a row out of a title, as a shopper who knows the product types them.
    """
    rng = Random(f"queries:{seed}")
    found: dict[str, None] = {}
    for _ in range(QUERIES * 20):
        words = rng.choice(products).title.casefold().split()
        length = rng.randint(1, 4)
        start = rng.randint(0, max(0, len(words) - length))
        text = " ".join(words[start : start + length])
        if any(c.isalnum() for c in text):
            found[text] = None
        if len(found) == QUERIES:
            break
    return list(found)


def stream_of(queries: Sequence[str], clicks: Path | None, seed: int) -> Iterator[str]:
    """Yield queries without end, as a shop hears them: the same ones again and again.

    Those of a log of clicks in its order, one for each; without a log, ``queries`` by Zipf's law (the r-th is
    asked 1/r as often as the first).
    """
    if clicks is not None:
        heard = [str(row["query"]) for row in read_jsonl(clicks)]
        return itertools.cycle([query for query in heard if clean_text(query)])
    rng = Random(f"stream:{seed}")
    weights = [1 / rank for rank in range(1, len(queries) + 1)]
    return (rng.choices(queries, weights)[0] for _ in itertools.count())


def fill(store: VectorStore, name: str, ground: IndexedShop, generation: int) -> None:
    """Build a generation's collection as the indexer does: rows, flush, index, load."""
    store.create(name, ground.vectors.shape[1])
    for start in range(0, len(ground.products), 1000):
        some = zip(ground.products[start : start + 1000], ground.vectors[start : start + 1000], strict=True)
        store.upsert(name, [Row.of(product, vector, generation) for product, vector in some])
    store.flush(name)
    store.build_index(name)
    store.load(name)


async def publish(
    settings: Settings,
    encoder: Encoder,
    name: str,
    ground: IndexedShop,
    generation: int,
    ranking: Ranking | None = None,
) -> None:
    """Let the searchers of a deployment serve a collection, by default by the cosine alone.

    The model's golden vectors are kept before that, as an indexer does.
    """
    GoldenVectors(settings.artefact_address).keep(encoder)
    release = Release(
        generation=generation,
        model=str(encoder.folder),
        model_sha256=encoder.fingerprint,
        dim=encoder.dim,
        ranking=ranking or Ranking(),
        collection=name,
        row_count=len(ground.products),
        state=ReleaseState.RELEASED,
    )
    pointer = LivePointer(deployment=settings.deployment, sequence=1, live=release, cause="benchmark")
    async with open_producer(settings, linger_ms=0) as producer:
        await producer.send(
            Outgoing(settings.topic("releases"), pointer.to_json(), key=settings.deployment.encode())
        )


def right(ground: IndexedShop, vector: Vectors, found: Sequence[str], k: int) -> float:
    """Return the share of the k nearest products that was found.

    Of products as near as the k-th (equal texts) any will do.
    """
    scores = ground.vectors @ vector
    least = np.sort(scores)[-min(k, len(scores))] - 1e-5
    near = {ground.products[i].product_id for i in np.flatnonzero(scores >= least)}
    return len(near & set(found[:k])) / min(k, len(scores))


def _read(file: Path) -> list[CatalogProduct]:
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as lines:
        found = [_product(json.loads(line)) for line in lines if line.strip()]
    return list({p.product_id: p for p in found if p is not None}.values())


def _fields(raw: bytes | None) -> dict[str, Any] | None:
    """Return the object that a record holds; what is soiled may hold none."""
    try:
        fields = json.loads(raw or b"")
    except ValueError:  # of the encoding, too
        return None
    return fields if isinstance(fields, dict) else None


def _product(fields: dict[str, object]) -> CatalogProduct | None:
    """Return what the index takes of a product.

    None for one without id or title, which intake would refuse.
    """
    product_id, title = (
        str(fields.get("product_id") or "")[:256],
        clean_text(str(fields.get("title") or ""))[:2000],
    )
    if not product_id.isprintable() or not product_id.strip() or not title:
        return None
    path = fields.get("category_path")
    return CatalogProduct(
        product_id=product_id,
        title=title,
        brand=clean_text(str(fields.get("brand") or ""))[:256],
        category_path=[clean_text(str(part)) for part in path] if isinstance(path, list) else [],
        version=1,
    )


def known_products() -> Path | None:
    """Return the shared file of products, None where there is none."""
    return _known("electronics46k_products.jsonl.gz")


def known_clicks() -> Path | None:
    """Return the shared log of clicks, None where there is none."""
    return _known("bestbuy_clicks.jsonl.gz")


def _known(name: str) -> Path | None:
    path = Path(os.environ.get("SEARCHLOOP_BENCH_DATA", "../shared/data")) / name
    return path if path.is_file() else None

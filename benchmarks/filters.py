"""Filters by columns of the index and by attributes, facets and other orders: what they take, and memory.

A catalogue with prices, ratings and stock is indexed on Milvus Lite or a Milvus server, under vectors that
are sums of one random vector per word (the encoder is measured elsewhere), and its words and attributes in
memory, as a searcher holds them. The same queries are asked plainly and in each other way, in turns; on a
server of two collections, without columns of the attributes and with them (``milvus_attributes``). Every
answer is held to what the catalogue says of its products, and to an exact search. What the attributes add to
a searcher's memory is the difference of two fresh processes, one of which leaves them out.
Goals: no condition on an attribute takes more than ``MOST_MS`` beyond the plain search, in the middle.
"""

import argparse
import itertools
import multiprocessing
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import psutil

from benchmarks.harness.report import data_folder, finish, read_jsonl, say
from embedded.milvus import EmbeddedMilvus
from embedded.milvus_server import MilvusServer
from embedded.server import LocalServer
from retrieval.browsing import facets, in_order
from retrieval.catalog_traits import CatalogTraits
from retrieval.filters import meets, parsed
from retrieval.index import IndexHit, Row, VectorStore, collection_name
from retrieval.narrowing import nearest
from retrieval.traits import NO_TRAITS
from retrieval.word_schema import WordDocument
from retrieval.words import WordIndex, words_of
from schemas.connections import MilvusConnection
from schemas.products import CatalogProduct
from schemas.search import Filter, ScoredHit

SERVERS: dict[str, type[LocalServer]] = {"lite": EmbeddedMilvus, "server": MilvusServer}
DIM, DEPTH, AT_ONCE = 384, 50, 1000
MOST_MS = 100.0
TIE = 1e-5  # a title that comes twice has one cosine
CATALOGUE = "vespa_products.jsonl.gz"
WAYS: dict[str, list[Filter]] = {
    "plain": [],
    "price": [Filter(field="price", op="lt", value=20.0)],
    "rating, 4.5 and more": [Filter(field="attributes.average_rating", op="gte", value=4.5)],
    "rating, 4.9 and more": [Filter(field="attributes.average_rating", op="gte", value=4.9)],
    "rating of 4.5": [Filter(field="attributes.average_rating", value=4.5)],
    "price and rating": [
        Filter(field="price", op="lt", value=20.0),
        Filter(field="attributes.average_rating", op="gte", value=4.5),
    ],
    "stock of 3 at most": [Filter(field="attributes.stock", op="lte", value=3)],
    "not out of stock": [Filter(field="attributes.stock", op="ne", value=0)],
}
# The collections, and the attributes of which they have columns
HOLDING = {"without columns": "", "with columns": "average_rating,stock"}
FACETS, BROWSED = ["category", "attributes.average_rating"], "facets and an order by price"


class FilledCollection(NamedTuple):
    """A collection, and the connection that made it."""

    store: VectorStore
    name: str


def products_of(path: Path, most: int) -> list[CatalogProduct]:
    """Return the products of a file, stock and rating as attributes."""
    return [
        CatalogProduct(
            product_id=str(row["product_id"]),
            title=row["title"],
            description=row.get("description", ""),
            category_path=[row["category"]] if row.get("category") else [],
            price=row["price_cents"] / 100 if row.get("price_cents") is not None else None,
            attributes={n: row[n] for n in ("stock", "average_rating") if row.get(n) is not None},
            version=1,
            first_seen_ms=n,
        )
        for n, row in enumerate(itertools.islice(read_jsonl(path), most))
    ]


def words_index(products: Sequence[CatalogProduct], *, attributes: bool = True) -> WordIndex:
    """Return the words of the products, with their attributes or without."""
    words = WordIndex("english")
    for start in range(0, len(products), AT_ONCE):
        made = [WordDocument.of(one) for one in products[start : start + AT_ONCE]]
        words.change(made if attributes else [replace(one, traits=NO_TRAITS) for one in made])
    return words


def memory_of(path: Path, most: int, attributes: bool, told: Any) -> None:
    """Tell the megabytes that the words take in this process, and the seconds that it took."""
    products, process = products_of(path, most), psutil.Process()
    before, started = process.memory_info().rss, time.process_time()
    words = words_index(products, attributes=attributes)
    took = time.process_time() - started
    told.put(
        {
            "mb": round((process.memory_info().rss - before) / 2**20, 1),
            "cpu_s": round(took, 2),
            "n": len(words),
        }
    )


def fresh(path: Path, most: int, *, attributes: bool) -> dict[str, float]:
    """Return what ``memory_of`` tells in a process of its own."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=memory_of, args=(path, most, attributes, told))
    process.start()
    found: dict[str, float] = told.get(timeout=900)
    process.join()
    return found


@cache
def _word(word: str) -> Any:
    return np.random.default_rng(crc32(word.encode())).normal(size=DIM)


def vectors_of(texts: Sequence[str]) -> Any:
    """Return (n, dim) unit rows."""
    made = np.stack([sum((_word(w) for w in words_of(t, "english")), _word("")) for t in texts])
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=SERVERS, default="lite")
    parser.add_argument("--products", type=Path, help=f"default: {CATALOGUE} of the data folder")
    parser.add_argument("--most", type=int, default=100_000, help="products that are indexed at most")
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    args, started = parser.parse_args(), time.monotonic()
    path = args.products or data_folder() / CATALOGUE
    sizes = {way: fresh(path, args.most, attributes=way == "with") for way in ("without", "with")}
    say(f"the words in memory: {sizes}")
    products = products_of(path, args.most)
    words, vectors = words_index(products), vectors_of([p.title for p in products])
    chosen = np.random.default_rng(args.seed).choice(
        len(products), min(args.queries, len(products)), replace=False
    )
    queries = [" ".join(products[n].title.split()[:4]) for n in chosen]
    with (
        tempfile.TemporaryDirectory(prefix="searchloop-filters-") as folder,
        SERVERS[args.backend](Path(folder)) as server,
        ExitStack() as opened,
    ):
        places, filled_s = {}, {}
        for number, (way, columns) in enumerate(HOLDING.items(), start=1):
            if columns and args.backend == "lite":
                continue  # it refuses them
            connection = MilvusConnection(milvus=server.address, milvus_attributes=columns)
            store = opened.enter_context(VectorStore(connection))
            began, places[way] = time.monotonic(), FilledCollection(store, collection_name("filters", number))
            fill(places[way], products, vectors)
            filled_s[way] = round(time.monotonic() - began, 1)
            say(f"{len(products)} products indexed in {filled_s[way]} s, {way}")
        rows = measure(places, CatalogTraits(words), products, vectors, queries)
    plain = next(row for way, row in rows.items() if way.startswith("plain"))["p50_ms"]
    exact = [row["share_of_exact"] for row in rows.values() if "share_of_exact" in row]
    return finish(
        "filters",
        seed=args.seed,
        started=started,
        ok=min(exact) == 1.0 or args.backend == "server",
        backend=args.backend,
        products=len(products),
        index_s=filled_s,
        words_without_attributes=sizes["without"],
        words_with_attributes=sizes["with"],
        ways=rows,
        goals={
            f"{way}: at most {MOST_MS:.0f} ms more": row["p50_ms"] - plain <= MOST_MS
            for way, row in rows.items()
        },
    )


def fill(place: FilledCollection, products: Sequence[CatalogProduct], vectors: Any) -> None:
    """Write the products and index them, as a build does."""
    store, name = place
    store.create(name, DIM)
    for start in range(0, len(products), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        store.upsert(name, [Row.of(p, v, 1) for p, v in zip(products[some], vectors[some], strict=True)])
    store.flush(name)
    store.build_index(name)
    store.load(name)


def measure(
    places: Mapping[str, FilledCollection],
    traits: CatalogTraits,
    products: Sequence[CatalogProduct],
    vectors: Any,
    queries: Sequence[str],
) -> dict[str, dict[str, float]]:
    """Return by way: milliseconds, how many meet it, and how much of an exact search was found."""
    rows = {p.product_id: Row.of(p, v, 1) for p, v in zip(products, vectors, strict=True)}
    own = traits.of(rows)
    fields = {i: {"category": r.category, "brand": r.brand, "price": r.price} for i, r in rows.items()}
    meeting = {
        way: np.array([meets(parsed(filters), i, fields[i], own[i]) for i in rows])
        for way, filters in WAYS.items()
    }
    took: defaultdict[str, list[float]] = defaultdict(list)
    right: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    told = {}
    for query, (way, filters) in itertools.product(vectors_of(queries), WAYS.items()):
        there = np.flatnonzero(meeting[way])
        best = there[np.argsort(-(vectors[there] @ query), kind="stable")[:DEPTH]]
        least = min((float(vectors[n] @ query) for n in best), default=0.0) - TIE
        for holding, (store, name) in places.items():
            asked = f"{way}, {holding}" if len(places) > 1 else way
            began = time.perf_counter()
            (hits,) = nearest(store, name, traits, query[None], DEPTH, filters, timeout_s=60.0)
            took[asked].append((time.perf_counter() - began) * 1000)
            right[asked] += sum(h.score >= least for h in hits)
            wanted[asked] += len(best)
            told[asked] = int(meeting[way].sum())
            assert all(
                meets(parsed(filters), h.product_id, fields[h.product_id], own[h.product_id]) for h in hits
            )
        if not filters:
            took[BROWSED].append(browse(traits, hits))
    return {
        way: {
            "p50_ms": round(statistics.median(own_ms), 2),
            "p95_ms": round(sorted(own_ms)[int(0.95 * len(own_ms))], 2),
        }
        | ({"meet": told[way], "share_of_exact": round(right[way] / wanted[way], 4)} if way in told else {})
        for way, own_ms in took.items()
    }


def browse(traits: CatalogTraits, found: Sequence[IndexHit]) -> float:
    """Return the milliseconds of facets and another order of these hits."""
    hits = [ScoredHit(product_id=h.product_id, rank=1, score=h.score, fields=h.fields) for h in found]
    began = time.perf_counter()
    known = traits.of(h.product_id for h in hits)
    facets(FACETS, hits, known)
    in_order(hits, "price_asc", {h.product_id for h in hits}, known)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    raise SystemExit(main())

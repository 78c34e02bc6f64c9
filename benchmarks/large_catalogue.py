"""What a large catalogue costs: building its collection, and a searcher's time and memory by part.

Products are made up (``serving.made_up_catalogue``): their vectors are random, so nothing is said of
relevance. The collection is written as the indexer writes it, on Milvus Lite and on a Milvus server (HNSW),
each by a process of its own and for ``--limit-s`` at most; a store that takes longer is left out and named
in ``unfinished``. Then one process does what a searcher does at its start: it loads the encoder, reads the
words of the catalogue (records as Kafka has them, without Kafka) and opens the release, on one store after
the other; and answers queries, words out of titles, every second one misspelt, one at a time, by all parts
of the score, for a minute at most on each store. ``by_part_cpu_ms`` is what each part took of an answer in
its thread (``rows``: in all), ``dense_ms`` the store's own search alone; ``by_size``: the parts by
themselves, with fewer products read. With ``--backend ""`` nothing is stored. ``ok``: every query was
answered by all parts, and the words and each collection hold every product.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import psutil

from benchmarks.harness.report import data_folder, finish, read_jsonl, say
from benchmarks.serving.made_up_catalogue import made_up_titles, product_of, vectors_in_blocks
from benchmarks.serving.made_up_memory import misspelt, queries_of, taken_after, vectors_of
from embedded.milvus import EmbeddedMilvus
from embedded.milvus_server import MilvusServer
from embedded.server import LocalServer
from retrieval.catalog_record import read_product
from retrieval.catalog_traits import CatalogTraits
from retrieval.encoder import Encoder, Vectors
from retrieval.index import Row, VectorStore, collection_name
from retrieval.memory_parts import sources_of
from retrieval.model_folder import resolve_model
from retrieval.product_rows import ProductRows
from retrieval.query_memory import write_memory
from retrieval.ranking import DENSE, DEPTHS, MEMORY, PARTS, Opinion, Source, Vector, contest
from retrieval.release import LoadedRelease
from retrieval.word_schema import Entered, WordDocument
from retrieval.words import WordIndex, analysis_digest
from schemas.connections import MilvusConnection
from schemas.products import CatalogProduct
from schemas.releases import Ranking, Release, ReleaseState
from schemas.search import Filter
from schemas.settings import BUNDLED_MODEL, SearcherSettings, TrainerSettings
from schemas.text import normalise_query
from searcher.encoding import serving_encoder

DIM = 384
SERVERS: Mapping[str, type[LocalServer]] = {"lite": EmbeddedMilvus, "server": MilvusServer}
NAME = collection_name("bench_large", 1)
READ_AT_ONCE = 5000  # records, as a searcher reads them
WRITTEN_AT_ONCE = 1000
PATIENT_S = 60.0
STORE_S = 60.0  # for the queries that a store is asked, of which there may be fewer then
MILESTONES = (10_000, 100_000, 300_000)  # products at which the parts are asked by themselves

Args = argparse.Namespace
Told = dict[str, Any]


def real_titles(path: Path) -> list[list[str]]:
    """Return the words of titles that have two at least."""
    words = (normalise_query(str(row["title"])).split() for row in read_jsonl(path))
    return [title for title in words if len(title) > 1]


def titles_of(args: Args) -> Iterator[list[str]]:
    """Yield the made up titles."""
    return made_up_titles(real_titles(args.titles), args.products, args.seed)


def remember(args: Args, folder: Path) -> Told:
    """Write a memory of made up queries over these products."""
    titles = list(titles_of(args))
    queries = queries_of(titles, args.remembered, args.seed)
    taken = taken_after(queries, titles, args.seed)
    model = Encoder.load(resolve_model(BUNDLED_MODEL), threads=1).fingerprint
    digest = write_memory(
        folder / "memory", taken, queries, vectors_of(queries, args.seed), model_sha256=model
    )
    asked = Random(args.seed).sample(queries, args.asked)
    (folder / "asked.json").write_text(json.dumps(asked))
    return {"digest": digest}


def build(args: Args, folder: Path) -> Told:  # noqa: ARG001 (each step is called alike)
    """Write, index and load the collection on the store at ``--address``; say what each took."""
    took: dict[str, float] = {}
    with VectorStore(MilvusConnection(milvus=args.address)) as store:
        with clocked(took, "create_s"):
            store.create(NAME, DIM)
        cpu, vectors, numbered = 0.0, vectors_in_blocks(args.products, DIM, args.seed), 0
        pending = enumerate(titles_of(args))
        for block in vectors:
            some = itertools.islice(pending, len(block))
            rows = [Row.of(product_of(n, title), v, 1) for (n, title), v in zip(some, block, strict=True)]
            began = time.process_time()
            with clocked(took, "write_s"):
                store.upsert(NAME, rows)
            cpu += time.process_time() - began
            numbered += len(rows)
            if numbered % 50_000 == 0:
                say(f"{numbered} rows, {took['write_s']:.0f} s")
        for step, call in (("flush_s", store.flush), ("index_s", store.build_index), ("load_s", store.load)):
            with clocked(took, step):
                call(NAME)
            say(f"{step}: {took[step]:.0f}")
        with clocked(took, "count_s"):
            count = store.count(NAME)
    return {"rows": count, "write_cpu_s": round(cpu, 1), **{k: round(v, 1) for k, v in took.items()}}


@contextmanager
def clocked(
    took: dict[str, float], name: str, clock: Callable[[], float] = time.perf_counter
) -> Iterator[None]:
    """Add the seconds of the block."""
    began = clock()
    yield
    took[name] = took.get(name, 0.0) + clock() - began


class TimedSource:
    """A source whose every call is clocked, its opinions' too."""

    def __init__(self, name: str, source: Source, took: dict[str, float]) -> None:
        self._name, self._source, self._took = name, source, took

    def ask(self, query: str, vector: Vector) -> "TimedOpinion":
        """Ask it."""
        with clocked(self._took, self._name, time.thread_time):
            return TimedOpinion(self._name, self._source.ask(query, vector), self._took)


class TimedOpinion:
    """What it says of one query."""

    def __init__(self, name: str, opinion: Opinion, took: dict[str, float]) -> None:
        self._name, self._opinion, self._took = name, opinion, took

    def best(self, k: int, filters: Sequence[Filter] = ()) -> Mapping[str, float]:
        """Return its best."""
        with clocked(self._took, self._name, time.thread_time):
            return self._opinion.best(k, filters)

    def values(self, product_ids: Iterable[str]) -> Mapping[str, float]:
        """Return its values."""
        with clocked(self._took, self._name, time.thread_time):
            return self._opinion.values(product_ids)


class TimedRows(ProductRows):
    """Rows of single products, clocked."""

    took: dict[str, float]

    def of(self, entries: Mapping[str, Entered], *, timeout_s: float = 5.0) -> dict[str, Row]:
        """Return them."""
        with clocked(self.took, "rows"):
            return super().of(entries, timeout_s=timeout_s)


def serve(args: Args, folder: Path) -> Told:
    """Start as a searcher does and answer, on each store of ``--address`` (``NAME=uri``, comma separated)."""
    settings, told = SearcherSettings(), {"empty": memory_mb()}
    took: dict[str, float] = {}
    with clocked(took, "encoder_s"):
        encoder = serving_encoder(str(resolve_model(BUNDLED_MODEL)), settings)
    told["encoder"] = memory_mb()
    language = TrainerSettings().language
    words = WordIndex(language)
    known: list[str] = json.loads((folder / "asked.json").read_text())
    rng = Random(args.seed + 1)
    queries = [query if n % 2 else misspelt(query, rng) for n, query in enumerate(known)]
    digest = str(args.digest)
    ranking = Ranking(
        coefficients=dict.fromkeys(PARTS, 1.0),
        artefacts={MEMORY: (str(folder / "memory"), digest)},
        language=language,
        analysis_sha256=analysis_digest(language),
    )
    vectors = encoder.encode_queries(queries)
    records = (
        (p.product_id.encode(), p.to_json())
        for p in itertools.starmap(product_of, enumerate(titles_of(args)))
    )
    cpu, by_size = 0.0, {}
    while some := list(itertools.islice(records, READ_AT_ONCE)):
        began = time.process_time()
        with clocked(took, "words_s"):
            read = (read_product(*one) for one in some)
            words.change(WordDocument.of(p) for p in read if isinstance(p, CatalogProduct))
        cpu += time.process_time() - began
        if len(words) in MILESTONES or len(words) == args.products:
            asked = parts_alone(
                words, sources_of(ranking, words, model_sha256=encoder.fingerprint), queries, vectors
            )
            by_size[len(words)] = {"words_cpu_s": round(cpu, 1), "mb": memory_mb(), **asked}
            say(f"{len(words)} products: {by_size[len(words)]}")
    told["words"] = memory_mb()
    release = Release(
        generation=1, model=str(encoder.folder), model_sha256=encoder.fingerprint, dim=DIM, ranking=ranking,
        collection=NAME, row_count=args.products, state=ReleaseState.RELEASED,
    )  # fmt: skip
    stores = dict(one.split("=", 1) for one in args.address.split(",") if one)
    found = {name: answer(uri, release, encoder, words, queries) for name, uri in stores.items()}
    return {
        "products": len(words),
        "words_cpu_s": round(cpu, 1),
        **{name: round(value, 1) for name, value in took.items()},
        "memory_mb": told,
        "by_size": by_size,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "stores": found,
    }


def parts_alone(
    words: WordIndex, sources: Mapping[str, Source], queries: Sequence[str], vectors: Vectors
) -> Told:
    """Ask all parts but the cosine, with as many products in place of the nearest; say what each took."""
    took: defaultdict[str, float] = defaultdict(float)
    timed = {name: TimedSource(name, source, took) for name, source in sources.items()}
    every = Ranking(coefficients=dict.fromkeys(PARTS, 1.0))
    near = dict.fromkeys((f"p{number:06}" for number in range(DEPTHS[DENSE])), 0.1)
    by_part: defaultdict[str, list[float]] = defaultdict(list)
    for query, vector in zip(queries, vectors, strict=True):
        took.clear()
        with clocked(took, "all", time.thread_time):
            found = contest(normalise_query(query), vector, near, timed, every)
            found.complete(lambda ids: dict.fromkeys((i for i in ids if i in words), 0.1))
        for name, seconds in took.items():
            by_part[name].append(1000 * seconds)
    return {"by_part_cpu_ms": quantiles(by_part)}


def quantiles(by_part: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Return p50 and p99 of each."""
    return {
        name: {"p50": quantile(own, 50), "p99": quantile(own, 99)} for name, own in sorted(by_part.items())
    }


def answer(uri: str, release: Release, encoder: Encoder, words: WordIndex, queries: Sequence[str]) -> Told:
    """Open the release on a store and ask it one query after the other."""
    opening: dict[str, float] = {}
    with VectorStore(MilvusConnection(milvus=uri)) as store:
        with clocked(opening, "open_s"):
            opened = LoadedRelease.open(
                release, store, encoder=encoder, words=words, remembered=SearcherSettings().remembered_queries
            )
        with clocked(opening, "refresh_opened_s"):
            LoadedRelease.open(release, store, encoder=encoder, words=words, rows=opened.rows)
        took: defaultdict[str, float] = defaultdict(float)
        sources = sources_of(release.ranking, words, model_sha256=release.model_sha256)
        rows = TimedRows(store, NAME, 1, SearcherSettings().remembered_rows)
        rows.took = took
        timed = LoadedRelease(
            release, store, encoder, words,
            {name: TimedSource(name, source, took) for name, source in sources.items()},
            rows=rows, traits=CatalogTraits(words),
        )  # fmt: skip
        vectors = encoder.encode_queries(queries)
        timed.find(queries[:2], vectors[:2], 10, timeout_s=PATIENT_S)
        whole, dense, lacking = [], [], 0
        by_part: defaultdict[str, list[float]] = defaultdict(list)
        end = time.monotonic() + STORE_S
        for query, vector in zip(queries, vectors, strict=True):
            if time.monotonic() > end:
                break
            took.clear()
            began = time.perf_counter()
            hits = timed.find([query], vector[None], 10, timeout_s=PATIENT_S)
            whole.append(1000 * (time.perf_counter() - began))
            lacking += bool(hits.left_out) or not hits.hits[0]
            for name, seconds in took.items():
                by_part[name].append(1000 * seconds)
            began = time.perf_counter()
            store.search(NAME, vector[None], DEPTHS[DENSE], timeout_s=PATIENT_S)
            dense.append(1000 * (time.perf_counter() - began))
    return {
        **{name: round(value, 1) for name, value in opening.items()},
        "asked": len(whole), "p50_ms": quantile(whole, 50), "p99_ms": quantile(whole, 99),
        "dense_ms": {"p50": quantile(dense, 50), "p99": quantile(dense, 99)},
        "by_part_cpu_ms": quantiles(by_part),
        "not_by_all_parts": lacking,
        "searcher_mb": memory_mb(),
    }  # fmt: skip


def quantile(values: Sequence[float], share: int) -> float:
    """Return a percentile, to tenths."""
    return round(float(np.percentile(values, share)), 1)


def memory_mb(process: psutil.Process | None = None) -> dict[str, int]:
    """Return what a process holds: resident, and its share of it where pages are shared."""
    told = (process or psutil.Process()).memory_full_info()
    return {"rss": told.rss >> 20, "pss": told.pss >> 20}


STEPS: dict[str, Callable[[Args, Path], Told]] = {"remember": remember, "build": build, "serve": serve}


def in_process(args: Args, step: str, folder: Path, **more: str) -> Told | None:
    """Do one step in a fresh process; None where it took longer than ``--limit-s``."""
    told = [sys.executable, "-m", "benchmarks.large_catalogue", "--step", step, "--folder", str(folder)]
    for name in ("products", "remembered", "asked", "seed", "titles"):
        told += [f"--{name}", str(getattr(args, name))]
    for name, value in more.items():
        told += [f"--{name}", value]
    try:
        done = subprocess.run(told, stdout=subprocess.PIPE, text=True, check=False, timeout=args.limit_s)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise SystemExit(f"step {step} ended with {done.returncode}")
    found: Told = json.loads(done.stdout.splitlines()[-1])
    return found


def run(args: Args, folder: Path, held: ExitStack) -> tuple[Told, list[str]]:
    """Do all steps; return what they told, and what was not finished in time."""
    remembered = in_process(args, "remember", folder)
    if remembered is None:
        raise SystemExit(f"the memory was not written in {args.limit_s:.0f} s")
    built: Told = {}
    servers: dict[str, LocalServer] = {}
    unfinished = []
    for name in args.backend:
        server = held.enter_context(SERVERS[name](folder / name))
        found = in_process(args, "build", folder, address=server.address)
        if found is None:
            unfinished.append(f"{name}: build")
            server.stop()
            continue
        size = sum(path.stat().st_size for path in (folder / name).rglob("*") if path.is_file())
        built[name] = found | {"store_mb": memory_mb(psutil.Process(server.pid)), "disk_mb": size >> 20}
        servers[name] = server
        say(f"{name} built: {built[name]}")
    where = ",".join(f"{name}={server.address}" for name, server in servers.items())
    served = in_process(args, "serve", folder, address=where, digest=str(remembered["digest"]))
    if served is None:
        return {"built": built}, [*unfinished, "serve"]
    for name, server in servers.items():
        served["stores"][name]["store_mb"] = memory_mb(psutil.Process(server.pid))
    return {"built": built, "served": served}, unfinished


def main() -> int:
    """Run the benchmark, or one step of it."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--remembered", type=int, default=100_000, help="queries that the memory holds")
    parser.add_argument("--asked", type=int, default=200, help="queries that are asked, one at a time")
    parser.add_argument("--backend", type=lambda text: text.split(",") if text else [], default=list(SERVERS))
    parser.add_argument("--limit-s", type=float, default=1800.0, help="for one step")
    parser.add_argument("--titles", type=Path, default=None, help="file with real titles, as lines of JSON")
    parser.add_argument("--seed", type=int, default=1)
    for hidden in ("--address", "--digest", "--step"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=None, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.titles = args.titles or data_folder() / "electronics46k_products.jsonl.gz"
    if args.step:
        sys.stdout.write(json.dumps(STEPS[args.step](args, args.folder)) + "\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="searchloop-large-") as folder, ExitStack() as held:
        told, unfinished = run(args, Path(folder), held)
    served = told.get("served", {"products": args.products, "stores": {}})
    ok = (
        all(own["rows"] == args.products for own in told["built"].values())
        and served["products"] == args.products
        and not any(own["not_by_all_parts"] for own in served["stores"].values())
    )
    return finish(
        "large_catalogue", seed=args.seed, started=started, ok=ok, products=args.products,
        remembered=args.remembered, unfinished=unfinished, **told,
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())

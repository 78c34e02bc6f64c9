"""Fill a new collection with the whole catalogue, and gather the evidence that it is right.

Thin; ``verify`` judges. Vectors that the candidate brought along are taken over where the document is the
same;
the probes encode anew, so wrong ones are found. What an earlier attempt has written stays: only rows that are
missing or old are written again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import structlog

from artefacts.located import local
from indexer.catalog import out_of_step
from indexer.lanes import Lane
from indexer.metrics import ROWS_WRITTEN, VECTORS_REUSED
from indexer.models import Models
from indexer.rows_there import versions_there
from indexer.verify import TOP, Evidence, slower
from retrieval.document import document_hash, document_of, document_text
from retrieval.encoder import Encoder
from retrieval.index import Row, VectorStore
from schemas.products import CatalogProduct
from schemas.releases import Release
from schemas.settings import IndexerSettings

log = structlog.get_logger(__name__)

Vector = npt.NDArray[np.float32]
Latencies = Sequence[tuple[float, float]]
LOG_EVERY = 20
TURNS = 20
ROUNDS = 3


@dataclass(frozen=True)
class Workshop:
    """What a build works with: the store, the lane that writes collections not yet served, the models.

    ``pause_s()`` is asked after each step: how long serving needs the machine for itself.
    """

    store: VectorStore
    lane: Lane
    models: Models
    settings: IndexerSettings
    pause_s: Callable[[], float] = lambda: 0.0


async def fill(
    shop: Workshop,
    release: Release,
    products: Mapping[str, CatalogProduct],
    *,
    progress: Callable[[int], None],
) -> Mapping[str, Vector]:
    """Write every product, flush, index and load.

    ``progress(n)`` is called after each step, and may raise to end the build. Returns the vectors that the
    candidate brought along, by the hash of their document; they are not proven yet.
    """
    name, settings = release.collection, shop.settings
    candidate = release.command.candidate if release.command else None
    known = (
        await shop.lane(read_vectors, candidate.vectors, release.dim)
        if candidate and candidate.vectors
        else {}
    )
    ids = sorted(await _missing(shop, release, products))
    kept = len(products) - len(ids)
    progress(kept)
    for step, start in enumerate(range(0, len(ids), settings.build_batch)):
        some = [products[i] for i in ids[start : start + settings.build_batch]]
        vectors = await _vectors(shop, release, some, known)
        rows = [
            Row.of(product, vector, release.generation) for product, vector in zip(some, vectors, strict=True)
        ]
        await shop.lane(shop.store.upsert, name, rows)
        ROWS_WRITTEN.labels("build").inc(len(rows))
        progress(kept + start + len(rows))
        if step % LOG_EVERY == 0:
            log.info(
                "building", generation=release.generation, rows=kept + start + len(rows), of=len(products)
            )
        await asyncio.sleep(shop.pause_s())
    for call in (shop.store.flush, shop.store.build_index, shop.store.load):
        await shop.lane(call, name)
        progress(len(products))
        log.info("build step done", generation=release.generation, step=call.__name__)
    return known


async def _missing(shop: Workshop, release: Release, products: Mapping[str, CatalogProduct]) -> set[str]:
    """Create the collection, or keep what an earlier attempt has written into it.

    Returns the ids that are still to be written.
    """
    name, store, lane = release.collection, shop.store, shop.lane
    if not await lane(store.exists, name):
        await lane(store.create, name, release.dim)
        log.info("collection created", generation=release.generation, collection=name)
        return set(products)
    for call in (store.flush, store.build_index, store.load):  # only what is loaded can be read
        await lane(call, name)
    there = await versions_there(store, lane, release)
    wrong = out_of_step(products, there)
    surplus = sorted(wrong - products.keys())
    await lane(store.delete, name, surplus)
    log.info(
        "build resumed",
        generation=release.generation,
        attempt=release.attempts,
        kept=len(there) - len(wrong & there.keys()),
    )
    return wrong & products.keys()


async def gather(
    shop: Workshop, release: Release, products: Mapping[str, CatalogProduct], live: Release | None
) -> Evidence:
    """Ask the store for everything that ``verify`` judges.

    Probes are drawn by the generation's number, so a repeat asks the same. ``live`` serves now, its model
    loaded: it answers the same probes, in turns.
    """
    name, store, lane = release.collection, shop.store, shop.lane
    ids = sorted(await lane(store.ids, name))
    rows = await lane(store.rows, name, ids)
    count = await lane(store.count, name)
    candidates = [i for i in ids if i in products]
    drawn = np.random.default_rng(release.generation).permutation(len(candidates))[
        : shop.settings.verify_probes
    ]
    probes = [candidates[i] for i in drawn]
    probe_vectors = await shop.models.encode(release.model_sha256, [document_of(products[i]) for i in probes])
    answers = await lane(store.search, name, probe_vectors, TOP, timeout_s=60.0)
    return Evidence(
        expected_ids=frozenset(products),
        count=count,
        ids=[r.product_id for r in rows],
        vectors=np.stack([r.vector for r in rows]) if rows else np.zeros((0, release.dim), dtype=np.float32),
        generations=[r.generation for r in rows],
        probe_ids=probes,
        probe_vectors=probe_vectors,
        answers=[[(hit.product_id, hit.score) for hit in hits] for hits in answers],
        latencies_ms=await again_if_slower(
            lambda: _in_turns(shop, release, live, [document_text(products[i]) for i in probes]),
            shop.settings.max_latency_ratio,
        ),
    )


async def again_if_slower(
    measure: Callable[[], Awaitable[Latencies]], max_ratio: float, *, rest_s: float = 2.0
) -> Latencies:
    """Measure; where the new one seems too slow, rest and measure again, up to ``ROUNDS`` times.

    The last measurement counts. A slow index is slow in every round. A collection that was just loaded, or a
    machine that has other things to do, is not.
    """
    latencies = await measure()
    for _ in range(ROUNDS - 1):
        if not slower(latencies, max_ratio):
            break
        log.info("latency check repeated: seems slower than live")
        await asyncio.sleep(rest_s)
        latencies = await measure()
    return latencies


async def _in_turns(
    shop: Workshop, release: Release, live: Release | None, texts: Sequence[str]
) -> Latencies:
    """Ask both generations each text, one right after the other, so that the load of the moment is the same.

    Milliseconds: new, live. Empty where nothing is live.
    """
    if live is None or not shop.models.loaded(live.model_sha256):
        return []
    pairs = []
    for number, text in enumerate(texts[:TURNS]):
        took = {}
        for one in (release, live) if number % 2 else (live, release):
            encoder = shop.models.get(one.model_sha256)
            took[one.generation] = await shop.lane(_ask, shop.store, encoder, one.collection, text)
        pairs.append((took[release.generation], took[live.generation]))
    return pairs


def _ask(store: VectorStore, encoder: Encoder, collection: str, text: str) -> float:
    started = time.perf_counter()
    store.search(collection, encoder.encode_queries([text]), TOP, timeout_s=60.0)
    return (time.perf_counter() - started) * 1000


def read_vectors(path: str, dim: int) -> dict[str, Vector]:
    """Return the vectors a candidate brought along, by the sha256 of their document (``document_hash``).

    The file is an ``.npz`` with ``hashes`` (n,) text and ``vectors`` (n, dim). One that does not fit is
    skipped: it only saves time.
    """
    try:
        with np.load(local(path), allow_pickle=False) as file:
            hashes, vectors = file["hashes"], np.asarray(file["vectors"], dtype=np.float32)
    except Exception as error:
        log.warning(
            "vectors of the training run cannot be reused",
            path=path,
            reason=f"{type(error).__name__}: {error}",
        )
        return {}
    if hashes.ndim != 1 or vectors.shape != (len(hashes), dim):
        log.warning(
            "vectors of the training run cannot be reused",
            path=path,
            reason=f"shape {vectors.shape} for {hashes.shape} texts of {dim}",
        )
        return {}
    return dict(zip(map(str, hashes), vectors, strict=True))


async def _vectors(
    shop: Workshop, release: Release, products: Sequence[CatalogProduct], known: Mapping[str, Vector]
) -> Sequence[Vector]:
    read_of = shop.models.get(release.model_sha256).read_of
    documents = [read_of(document_of(p)) for p in products]
    found = {document: known.get(document_hash(document)) for document in documents} if known else {}
    new = list(dict.fromkeys(document for document in documents if found.get(document) is None))
    encoded = dict(zip(new, await shop.models.encode(release.model_sha256, new), strict=True))
    VECTORS_REUSED.inc(sum(document not in encoded for document in documents))
    return [encoded[one] if one in encoded else known[document_hash(one)] for one in documents]

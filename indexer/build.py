"""Fill a new collection with the whole catalogue, and gather the evidence that it is right. Thin; ``verify`` judges.

Vectors that the candidate brought along are taken over where the text is the same; the probes encode anew, so wrong ones are found.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

from indexer.lanes import Lane
from indexer.metrics import ROWS_WRITTEN, VECTORS_REUSED
from indexer.models import Models
from indexer.verify import TOP, Evidence
from retrieval.document import document_hash, document_text
from retrieval.index import Row, VectorStore
from schemas.products import CatalogProduct
from schemas.releases import Release
from schemas.settings import IndexerSettings

log = structlog.get_logger(__name__)

Vector = npt.NDArray[np.float32]
LOG_EVERY = 20


@dataclass(frozen=True)
class Workshop:
    """What a build works with: the store, the lane that writes collections not yet served, the models."""

    store: VectorStore
    lane: Lane
    models: Models
    settings: IndexerSettings


async def fill(
    shop: Workshop,
    release: Release,
    products: Mapping[str, CatalogProduct],
    *,
    progress: Callable[[int], None],
) -> None:
    """Write every product, flush, index and load. ``progress(n)`` is called after each step, and may raise to end the build."""
    name, settings = release.collection, shop.settings
    candidate = release.command.candidate if release.command else None
    known = await shop.lane(read_vectors, candidate.vectors, release.dim) if candidate and candidate.vectors else {}
    await shop.lane(shop.store.create, name, release.dim)
    ids = sorted(products)
    for step, start in enumerate(range(0, len(ids), settings.build_batch)):
        some = [products[i] for i in ids[start : start + settings.build_batch]]
        vectors = await _vectors(shop, release, some, known)
        rows = [Row.of(product, vector, release.generation) for product, vector in zip(some, vectors, strict=True)]
        await shop.lane(shop.store.upsert, name, rows)
        ROWS_WRITTEN.labels("build").inc(len(rows))
        progress(start + len(rows))
        if step % LOG_EVERY == 0:
            log.info("building", generation=release.generation, rows=start + len(rows), of=len(ids))
        await asyncio.sleep(settings.build_pause_ms / 1000)
    for call in (shop.store.flush, shop.store.build_index, shop.store.load):
        await shop.lane(call, name)
        progress(len(ids))


async def gather(shop: Workshop, release: Release, products: Mapping[str, CatalogProduct]) -> Evidence:
    """Ask the store for everything that ``verify`` judges. Probes are drawn by the generation's number, so a repeat asks the same."""
    name, store, lane = release.collection, shop.store, shop.lane
    ids = sorted(await lane(store.ids, name))
    rows = await lane(store.rows, name, ids)
    count = await lane(store.count, name)
    candidates = [i for i in ids if i in products]
    drawn = np.random.default_rng(release.generation).permutation(len(candidates))[: shop.settings.verify_probes]
    probes = [candidates[i] for i in drawn]
    probe_vectors = await shop.models.encode(release.model_sha256, [document_text(products[i]) for i in probes])
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
    )


def read_vectors(path: str, dim: int) -> dict[str, Vector]:
    """Return the vectors a candidate brought along, by the sha256 of their text (``document_hash``).

    The file is an ``.npz`` with ``hashes`` (n,) text and ``vectors`` (n, dim). One that does not fit is passed over: it only saves time.
    """
    try:
        with np.load(Path(path), allow_pickle=False) as file:
            hashes, vectors = file["hashes"], np.asarray(file["vectors"], dtype=np.float32)
    except (OSError, KeyError, ValueError) as error:
        log.warning("vectors of the candidate are not used", path=path, reason=str(error))
        return {}
    if vectors.shape != (len(hashes), dim):
        log.warning("vectors of the candidate are not used", path=path, reason=f"shape {vectors.shape}, expected ({len(hashes)}, {dim})")
        return {}
    return dict(zip(map(str, hashes), vectors, strict=True))


async def _vectors(shop: Workshop, release: Release, products: Sequence[CatalogProduct], known: Mapping[str, Vector]) -> Sequence[Vector]:
    texts = [document_text(p) for p in products]
    found = {text: known.get(document_hash(text)) for text in texts} if known else {}
    new = list(dict.fromkeys(text for text in texts if found.get(text) is None))
    encoded = dict(zip(new, await shop.models.encode(release.model_sha256, new), strict=True))
    VECTORS_REUSED.inc(sum(text not in encoded for text in texts))
    return [encoded[text] if text in encoded else known[document_hash(text)] for text in texts]

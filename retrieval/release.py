"""A release in memory: encoder, collection and ranking as one object, so that they can only change together.

Opening proves that they fit: the model's fingerprint, the dimension, a collection that is loaded and not
empty. Every hit carries the generation that wrote it; a hit of another generation is counted and dropped.
Calls block.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import structlog
from prometheus_client import Counter

from retrieval.encoder import Encoder, Vectors
from retrieval.index import IndexHit, VectorStore
from retrieval.model_folder import fingerprint, resolve_model
from retrieval.naming import generation_of
from retrieval.ranking import rank
from schemas.releases import Release
from schemas.search import Filter, ScoredHit

log = structlog.get_logger(__name__)

WRONG_RELEASE_HITS = Counter(
    "searchloop_wrong_release_hits", "Hits of another generation than the one searched: must stay 0."
)
DENSE = "dense"


class ReleaseError(RuntimeError):
    """A release whose pieces do not fit together: it must not serve."""


@dataclass(frozen=True)
class Answers:
    """Hits per query, and how long the encoder and the index took, in milliseconds.

    The times are for all of them together.
    """

    hits: list[list[ScoredHit]]
    embed_ms: float
    search_ms: float


class LoadedRelease:
    """One generation, ready to answer. Made by ``open``; may be used by several threads."""

    def __init__(
        self, release: Release, store: VectorStore, encoder: Encoder, *, over_fetch: int = 0
    ) -> None:
        self.release = release
        self.encoder = encoder
        self._store = store
        self._over_fetch = over_fetch
        # A refresh serves the collection of an older generation, and the rows carry the stamp of their build.
        self._stamp = generation_of(release.collection) if release.kind == "refresh" else release.generation

    @classmethod
    def open(
        cls,
        release: Release,
        store: VectorStore,
        *,
        encoder: Encoder | None = None,
        load: Callable[[str], Encoder] = Encoder.load,
        over_fetch: int = 0,
    ) -> Self:
        """Load and check a release.

        ``encoder`` is used, with the queries that it remembers, when its fingerprint is the release's;
        otherwise the release's model is given to ``load``. Raises ``ReleaseError`` when the pieces do not
        fit, ``ModelError`` or ``StoreError`` when one is not there.
        """
        unknown = sorted(
            name for name, weight in release.ranking.coefficients.items() if weight and name != DENSE
        )
        if unknown or not release.ranking.coefficients.get(DENSE):
            raise ReleaseError(
                f"generation {release.generation} ranks by {release.ranking.coefficients}; only {DENSE!r} "
                "can be served"
            )
        if encoder is None or encoder.fingerprint != release.model_sha256:
            found = fingerprint(resolve_model(release.model))
            if found != release.model_sha256:
                raise ReleaseError(
                    f"model {release.model} is not the one that the release names by its fingerprint "
                    f"{release.model_sha256[:12]}"
                )
            encoder = load(release.model)
        if not encoder.dim == release.dim == store.dim(release.collection):
            dims = f"model {encoder.dim}, release {release.dim}, collection {store.dim(release.collection)}"
            raise ReleaseError(f"dimensions of generation {release.generation} differ: {dims}")
        store.load(release.collection)
        if store.count(release.collection) == 0:
            raise ReleaseError(f"collection {release.collection} of generation {release.generation} is empty")
        return cls(release, store, encoder, over_fetch=over_fetch)

    @property
    def generation(self) -> int:
        """The generation that answers."""
        return self.release.generation

    @property
    def model_id(self) -> str:
        """The first 12 digits of the model's fingerprint, as answers name it."""
        return self.release.model_sha256[:12]

    def embed(self, queries: Sequence[str]) -> Vectors:
        """Return (n, dim) unit rows for raw query texts."""
        return self.encoder.encode_queries(queries)

    def find(
        self, vectors: Vectors, k: int, filters: Sequence[Filter] = (), *, timeout_s: float = 5.0
    ) -> list[list[ScoredHit]]:
        """Return per vector (from ``embed`` of this very object) at most k hits, rank 1 first."""
        found = self._store.search(
            self.release.collection, vectors, k + self._over_fetch, filters=filters, timeout_s=timeout_s
        )
        return [self._ranked(hits, k) for hits in found]

    def search(
        self, queries: Sequence[str], k: int | Sequence[int] = 10, filters: Sequence[Filter] = ()
    ) -> Answers:
        """Embed and find. ``k`` is one number, or one per query."""
        started = time.perf_counter()
        vectors = self.embed(queries)
        embedded = time.perf_counter()
        ks = [k] * len(queries) if isinstance(k, int) else list(k)
        hits = self.find(vectors, max(ks), filters) if queries else []
        return Answers(
            [found[:n] for found, n in zip(hits, ks, strict=True)],
            embed_ms=(embedded - started) * 1000,
            search_ms=(time.perf_counter() - embedded) * 1000,
        )

    def warm(self, queries: Sequence[str]) -> None:
        """Run queries singly, so that the first real ones find everything in memory."""
        for query in queries:
            self.search([query])

    def close(self) -> None:
        """Let go of model and store.

        The collection stays loaded: other searchers use it, and the indexer drops it.
        """
        del self.encoder, self._store

    def _ranked(self, hits: Sequence[IndexHit], k: int) -> list[ScoredHit]:
        ours = {h.product_id: h for h in hits if h.generation == self._stamp}
        if foreign := len(hits) - len(ours):
            WRONG_RELEASE_HITS.inc(foreign)
            log.error(
                "hits of another generation were dropped",
                asked=self._stamp,
                collection=self.release.collection,
                hits=foreign,
            )
        dense = {product_id: h.score for product_id, h in ours.items()}
        ranked = rank({DENSE: dense}, self.release.ranking, k)
        return [
            ScoredHit(
                product_id=product_id,
                rank=place,
                score=score,
                fields=ours[product_id].fields,
                parts={DENSE: dense[product_id]},
            )
            for place, (product_id, score) in enumerate(ranked, start=1)
        ]

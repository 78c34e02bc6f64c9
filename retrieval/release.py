"""A release in memory: encoder, collection and ranking as one object, so that they can only change together.

Opening proves that they fit: the model's fingerprint, the dimension, a collection that is loaded and not
empty, words that are read as the release says. Every hit carries the generation that wrote it; a hit of
another generation is counted and dropped. Calls block.
"""

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Self

import structlog
from prometheus_client import Counter

from retrieval.catalog_traits import CatalogTraits
from retrieval.encoder import Encoder, Vectors
from retrieval.filters import meets, parsed
from retrieval.found import Found
from retrieval.index import IndexHit, StoreError, VectorStore
from retrieval.mapped_arrays import ArtefactError
from retrieval.memory_parts import PriorSource, sources_of
from retrieval.model_folder import fingerprint, resolve_model
from retrieval.naming import stamp_of
from retrieval.narrowing import begin_nearest, read
from retrieval.product_rows import ProductRows
from retrieval.query_fusion import vectors_of
from retrieval.ranking import (
    DENSE,
    DEPTHS,
    PRIOR,
    SERVED,
    Contest,
    Parts,
    Source,
    Vector,
    contest,
    rank,
    weighed,
    weights,
)
from retrieval.rows import SHOWN, Row
from retrieval.traits import NO_TRAITS, Traits
from retrieval.words import WordIndex, analysis_digest
from schemas.releases import Ranking, Release
from schemas.search import Filter, ScoredHit, SearchRequest
from schemas.settings import SearcherSettings
from schemas.text import normalise_query

log = structlog.get_logger(__name__)

WRONG_RELEASE_HITS = Counter(
    "searchloop_wrong_release_hits", "Hits of another generation than the one searched: must stay 0."
)
# Of a collection so much may be missing in the words: deletions that the index has not seen yet
LACKING_SHARE, LACKING = 0.5, 20
WARM_BATCH = 16  # queries: who serves meanwhile needs the processor, too


_LEFT_OUT = (StoreError, ValueError, LookupError, RuntimeError)  # of tantivy and numpy too


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
        self,
        release: Release,
        store: VectorStore,
        encoder: Encoder,
        words: WordIndex | None = None,
        sources: Mapping[str, Source] | None = None,
        *,
        rows: ProductRows | None = None,
        traits: CatalogTraits | None = None,
        over_fetch: int = 0,
    ) -> None:
        """``traits``: those of the catalogue; None: nothing is known of them."""
        self.release = release
        self.encoder = encoder
        self._store = store
        self._over_fetch = over_fetch
        self._stamp = stamp_of(release)
        self._words = words
        self._sources = sources or {}
        self.traits = traits
        self.rows = rows or rows_of(release, store, SearcherSettings().remembered_rows)

    @classmethod
    def open(
        cls,
        release: Release,
        store: VectorStore,
        *,
        encoder: Encoder | None = None,
        words: WordIndex | None = None,
        load: Callable[[str], Encoder] = Encoder.load,
        over_fetch: int = 0,
        remembered: int = 0,
        rows: ProductRows | None = None,
    ) -> Self:
        """Load and check a release.

        ``encoder`` is used, with the queries that it remembers, when its fingerprint is the release's;
        otherwise the release's model is given to ``load``. ``words``: those of the catalogue; for a release
        that weighs the cosine alone, what names its products, as far as it is read. ``remembered``: of so
        many queries it also holds what the memory of earlier queries says; ``rows``: those of the collection,
        where another release holds them. Raises ``ReleaseError`` when the pieces do not fit, ``ModelError``
        or ``StoreError`` when one is not there.
        """
        _check_ranking(release, words)
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
        rows = rows or rows_of(release, store, SearcherSettings().remembered_rows)
        if words is not None and weighed(release.ranking) and not rows.compared:
            _check_words(release, store.ids(release.collection), words)
            rows.compared = True  # a refresh has them of what it refreshes: a million ids take long to read
        try:
            sources = sources_of(
                release.ranking, words, model_sha256=release.model_sha256, remembered=remembered
            )
        except ArtefactError as error:
            raise ReleaseError(f"generation {release.generation}: {error}") from error
        whole = words if weighed(release.ranking) else None
        traits = None if words is None else CatalogTraits(words)
        return cls(release, store, encoder, whole, sources, rows=rows, traits=traits, over_fetch=over_fetch)

    @property
    def generation(self) -> int:
        """The generation that answers."""
        return self.release.generation

    @property
    def model_id(self) -> str:
        """The first 12 digits of the model's fingerprint, as answers name it."""
        return self.release.model_sha256[:12]

    def alone(self, part: str) -> "LoadedRelease | None":
        """Return the same release ranking by one part alone: the cosine, or a source that it has.

        None where it has not. It holds nothing of its own, and is used under the lease of this one.
        """
        if part != DENSE and part not in self._sources:
            return None
        ranking = Ranking(coefficients={DENSE: 0.0, part: 1.0})
        return LoadedRelease(
            self.release.model_copy(update={"ranking": ranking}),
            self._store,
            self.encoder,
            self._words,
            {} if part == DENSE else {part: self._sources[part]},
            rows=self.rows,
            traits=self.traits,
            over_fetch=self._over_fetch,
        )

    def embed(self, queries: Sequence[str]) -> Vectors:
        """Return (n, dim) unit rows for raw query texts."""
        return self.encoder.encode_queries(queries)

    def embed_asked(self, requests: Sequence[SearchRequest]) -> Vectors:
        """Return (n, dim) unit rows of what requests ask; raises as ``query_fusion.vectors_of`` does."""
        return vectors_of(self.encoder, requests)

    def find(
        self,
        queries: Sequence[str],
        vectors: Vectors,
        k: int,
        filters: Sequence[Filter] = (),
        *,
        timeout_s: float = 5.0,
        every: bool = False,
    ) -> Found:
        """Return at most k hits per query; ``vectors`` are from ``embed`` of this very object.

        While the index searches, the sources of the other parts name their candidates. ``every``: all that
        compete and the k best, for whoever decides after the score. Raises ``StoreError`` when the index
        fails.
        """
        end, hybrid = time.monotonic() + timeout_s, bool(weighed(self.release.ranking))
        depth = max(k, DEPTHS[DENSE]) if hybrid or every else k
        k = sys.maxsize if every else k
        started = time.perf_counter()
        begun = begin_nearest(
            self._store,
            self.release.collection,
            self.traits,
            vectors,
            depth + self._over_fetch,
            filters,
            timeout_s=timeout_s,
        )
        asked = self._asked(queries, vectors, filters)
        near = [self._ours(hits) for hits in begun()]
        index_ms = (time.perf_counter() - started) * 1000
        cosines = [{i: h.score for i, h in own.items()} for own in near]
        few = [min(len(own), DEPTHS[DENSE]) for own in near]
        if not self._sources:
            found = [self._ranked({DENSE: c}, own, {}, k) for c, own in zip(cosines, near, strict=True)]
            return Found(found, contenders=few, index_ms=index_ms)
        try:
            parts, rows, first = self._parts(asked, vectors, cosines, end)
        except _LEFT_OUT as error:
            log.warning("parts of the score were left out", generation=self.generation, reason=str(error))
            left = [self._ranked({DENSE: c}, own, {}, k) for c, own in zip(cosines, near, strict=True)]
            return Found(
                left, left_out=str(error)[:200] or type(error).__name__, contenders=few, index_ms=index_ms
            )
        return Found(
            [self._ranked(p, own, rows, k, first=f) for p, own, f in zip(parts, near, first, strict=True)],
            contenders=[len(f & p[DENSE].keys()) for p, f in zip(parts, first, strict=True)],
            index_ms=index_ms,
        )

    def named(
        self,
        product_ids: Sequence[str],
        vector: Vector,
        filters: Sequence[Filter] = (),
        *,
        timeout_s: float = 5.0,
    ) -> dict[str, ScoredHit]:
        """Return hits of these products, as far as they are there and meet the filters, whatever their score.

        It is that of the cosine alone; their rank is not set. Raises ``FilterError`` and ``StoreError``.
        """
        rows = self._rows_of(product_ids, timeout_s)
        conditions, weight = parsed(filters), self.release.ranking.coefficients[DENSE]
        traits = self.traits_of(rows) if any(one.of_trait for one in conditions) else {}
        found = {}
        for product_id, row in rows.items():
            fields, score = _fields(row), weight * float(row.vector @ vector)
            if meets(conditions, product_id, fields, traits.get(product_id, NO_TRAITS)):
                found[product_id] = ScoredHit(
                    product_id=product_id, rank=0, score=score, fields=fields, parts={DENSE: score}
                )
        return found

    def traits_of(self, product_ids: Iterable[str]) -> dict[str, Traits]:
        """Return the traits of those of the products that the catalogue holds.

        Raises ``StoreError`` while it is not read.
        """
        return read(self.traits).of(product_ids)

    def unknown(self, fields: Iterable[str]) -> list[str]:
        """Return those of the traits that no product has, sorted. Raises ``StoreError`` as above."""
        traits = read(self.traits)
        return sorted(one for one in fields if not traits.has(one))

    def engaged(self, product_id: str) -> bool:
        """Say whether its memory knows of anybody who took the product."""
        prior = self._sources.get(PRIOR)
        return isinstance(prior, PriorSource) and bool(prior.values([product_id]))

    def _rows_of(self, product_ids: Iterable[str], timeout_s: float) -> dict[str, Row]:
        """Return the rows of products; where the catalogue is followed, of those that it holds."""
        if self._words is not None:
            entries = {i: entry for i in product_ids if (entry := self._words.entry(i)) is not None}
            return self.rows.of(entries, timeout_s=timeout_s)
        read = self._store.rows(self.release.collection, list(product_ids), newest=False, timeout_s=timeout_s)
        return {row.product_id: row for row in read if row.generation == self._stamp}

    def _asked(
        self, queries: Sequence[str], vectors: Vectors, filters: Sequence[Filter]
    ) -> list[Contest] | Exception:
        """Return whom the sources name for each query, or why they cannot."""
        try:
            return [
                contest(normalise_query(query), vector, {}, self._sources, self.release.ranking, filters)
                for query, vector in zip(queries, vectors, strict=True)
                if self._sources
            ]
        except _LEFT_OUT as error:
            return error

    def _parts(
        self,
        asked: list[Contest] | Exception,
        vectors: Vectors,
        nearest: Sequence[dict[str, float]],
        end: float,
    ) -> tuple[list[Parts], dict[str, Row], list[set[str]]]:
        """Return each query's parts, the rows of candidates beyond its nearest, and who competes.

        Those nearest beyond ``DEPTHS`` have parts and do not compete: so the first places do not depend on
        how many are asked for. ``end``: on the monotonic clock.
        """
        if isinstance(asked, Exception):
            raise asked
        found = [one.among(own) for one, own in zip(asked, nearest, strict=True)]
        lacking = set().union(*(one.candidates() - one.parts[DENSE].keys() for one in found))
        rows = self._rows_of(lacking, end - time.monotonic())
        few = [dict(list(own.items())[: DEPTHS[DENSE]]) for own in nearest]
        first = [
            own.keys() | set().union(*(named.keys() for name, named in one.parts.items() if name != DENSE))
            for one, own in zip(found, few, strict=True)
        ]

        def cosines(vector: Vectors) -> Callable[[Sequence[str]], dict[str, float]]:
            return lambda ids: {i: float(rows[i].vector @ vector) for i in ids if i in rows}

        parts = [one.complete(cosines(vector)) for one, vector in zip(found, vectors, strict=True)]
        return parts, rows, first

    def search(
        self, queries: Sequence[str], k: int | Sequence[int] = 10, filters: Sequence[Filter] = ()
    ) -> Answers:
        """Embed and find. ``k`` is one number, or one per query."""
        started = time.perf_counter()
        vectors = self.embed(queries)
        embedded = time.perf_counter()
        ks = [k] * len(queries) if isinstance(k, int) else list(k)
        hits = self.find(queries, vectors, max(ks), filters).hits if queries else []
        return Answers(
            [found[:n] for found, n in zip(hits, ks, strict=True)],
            embed_ms=(embedded - started) * 1000,
            search_ms=(time.perf_counter() - embedded) * 1000,
        )

    def warm(self, queries: Sequence[str], searched: int) -> None:
        """Encode queries, and search so many of them singly: the first real ones find all in memory."""
        for start in range(0, len(queries), WARM_BATCH):
            self.embed(queries[start : start + WARM_BATCH])
        for query in queries[:searched]:
            self.search([query])

    def hold_rows(self, ended: Callable[[], bool]) -> None:
        """Read the rows of the catalogue, so that no search with all parts has to; until ``ended``.

        What cannot be read now is read when it is needed.
        """
        if self._words is not None and self.rows.fits(len(self._words)):  # a list of all is large
            try:
                self.rows.fill(self._words.entries(), ended)
            except StoreError as error:
                log.warning("rows were not read ahead", generation=self.generation, reason=str(error))

    def close(self) -> None:
        """Let go of model and store.

        The collection stays loaded: other searchers use it, and the indexer drops it.
        """
        del self.encoder, self._store, self.rows

    def _ours(self, hits: Sequence[IndexHit]) -> dict[str, IndexHit]:
        ours = {h.product_id: h for h in hits if h.generation == self._stamp}
        if foreign := len(hits) - len(ours):
            WRONG_RELEASE_HITS.inc(foreign)
            log.error(
                "hits of another generation were dropped",
                asked=self._stamp,
                collection=self.release.collection,
                hits=foreign,
            )
        return ours

    def _ranked(
        self,
        parts: Parts,
        nearest: Mapping[str, IndexHit],
        rows: Mapping[str, Row],
        k: int,
        *,
        first: AbstractSet[str] | None = None,
    ) -> list[ScoredHit]:
        ranking = self.release.ranking
        used = ranking if len(parts) > 1 else Ranking(coefficients={DENSE: ranking.coefficients[DENSE]})
        return [
            ScoredHit(
                product_id=product_id,
                rank=place,
                score=score,
                fields=nearest[product_id].fields if product_id in nearest else _fields(rows[product_id]),
                parts=_explained(parts, used, product_id),
            )
            for place, (product_id, score) in enumerate(rank(parts, used, k, first), start=1)
        ]


def rows_of(release: Release, store: VectorStore, remembered: int) -> ProductRows:
    """Return what remembers so many rows of a release's collection."""
    return ProductRows(store, release.collection, stamp_of(release), remembered)


def _explained(parts: Parts, ranking: Ranking, product_id: str) -> dict[str, float]:
    """Return what each part adds to the score, the greatest first."""
    added = {
        name: weight * parts[name].get(product_id, 0.0) for name, weight in weights(ranking, parts).items()
    }
    return dict(sorted(added.items(), key=lambda one: (-abs(one[1]), one[0])))


def _fields(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in SHOWN} | {"price": row.price}


def _check_ranking(release: Release, words: WordIndex | None) -> None:
    ranking = release.ranking
    unknown = sorted(set(weighed(ranking)) - set(SERVED))
    if unknown or not ranking.coefficients.get(DENSE):
        raise ReleaseError(
            f"generation {release.generation} ranks by {ranking.coefficients}; only {', '.join(SERVED)} can "
            f"be served, and {DENSE} must be"
        )
    if not weighed(ranking):
        return
    if words is None or ranking.language != words.language:
        raise ReleaseError(
            f"generation {release.generation} needs the words in {ranking.language!r}, which are not there"
        )
    if ranking.analysis_sha256 != analysis_digest(words.language):
        raise ReleaseError(
            f"generation {release.generation} was measured with another analysis of words than this version's"
        )


def _check_words(release: Release, ids: AbstractSet[str], words: WordIndex) -> None:
    lacking = sum(product_id not in words for product_id in ids)
    if lacking > max(LACKING, LACKING_SHARE * len(ids)):
        raise ReleaseError(
            f"the words hold {len(words)} products, and {lacking} of the {len(ids)} of collection "
            f"{release.collection} are not among them"
        )
    if lacking:
        log.info("products of the index that the catalogue lacks", products=lacking)

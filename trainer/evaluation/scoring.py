"""Score candidate, live, base, BM25, popularity and their fusions.

On the test queries, over the full catalogue. ``python -m trainer.evaluation.scoring REQUEST.json`` does it in
a fresh process from the saved folders, so what is scored is what would be served. Decides no verdict.
Per-query results are kept as Parquet.
"""

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Self

import polars as pl

from artefacts.located import open_folders, use_store
from media.pictures import stored_pictures
from retrieval.document import TEXT
from retrieval.encoder import Encoder, EncodingError, Vectors
from retrieval.field_weights import FieldWeights
from retrieval.golden_vectors import GoldenVectors
from retrieval.mapped_arrays import ArtefactError
from retrieval.memory_parts import sources_of
from retrieval.model_folder import ModelError, fingerprint, resolve_model
from retrieval.query_memory import Taken
from retrieval.ranking import MEMORY, PARTS, PRIOR, Source
from retrieval.words import WordIndex, analysis_digest
from schemas.releases import Ranking
from trainer.evaluation.artefact import Artefact, examine
from trainer.evaluation.files import Evaluation, EvaluationFacts, EvaluationRequest, RankerFacts
from trainer.evaluation.known_vectors import KnownVectors
from trainer.evaluation.leave_one_out import PartGains, part_gains, without_each
from trainer.evaluation.memory_of_pairs import remember_known, taken_of
from trainer.evaluation.rankers import (
    DEPTH,
    FUSED_DEPTH,
    Embedded,
    EvaluationCatalog,
    bm25,
    dense,
    embed_queries,
    popularity,
    rrf,
    served,
    served_and_without,
    words_of_catalog,
)
from trainer.evaluation.ranking_metrics import RANKING_METRICS, best_in_top
from trainer.evaluation.segments import describe, gains_of
from trainer.evaluation.validation_queries import AskedThen, Validation, fit_ranking
from trainer.run.processes import die_with_parent

MODELS = ("base", "live", "best", "candidate")  # equal models are neighbours
FITTED = ("base", "candidate")


def evaluate(
    catalog: EvaluationCatalog,
    qrels: pl.DataFrame,
    weighted: pl.DataFrame,
    models: Mapping[str, Path],
    *,
    rankings: Mapping[str, Ranking] | None = None,
    remembered: pl.DataFrame | None = None,
    memory: Path | None = None,
    ranker: Path | None = None,
    seed: int = 0,
    refreshed: Collection[str] = (),
    inner: pl.DataFrame | None = None,
    known: pl.DataFrame | None = None,
    clients: pl.DataFrame | None = None,
    judged: Mapping[str, pl.DataFrame] | None = None,
    language: str,
    threads: int | None = None,
    artefacts: str = "",
) -> Evaluation:
    """Rank with every system and score it.

    ``weighted``: the training pairs with their credit; ``models``: folder per system name. Each model ranks
    as it would be served: by ``rankings`` where that names the system (what its release says), else candidate
    and base by coefficients, and a ranker, fitted to ``inner`` (query, product_id, gain: neither trained nor
    tested; None or too few: the encoder alone). Where ``known`` is given, ``inner`` says as of which day each
    is asked, and ``known`` what was remembered then (``data.as_of``); None: what is remembered now.
    ``candidate_dense`` and ``base_dense``: the encoder alone; ``rrf``: base and BM25 fused by rank.
    ``remembered``: the pairs (query, product_id, credit, client) of which candidate and base have a memory;
    None: no memory. The candidate's memory and ranker are kept in the
    folders ``memory`` and ``ranker``. ``refreshed``: systems whose release remembers the test; they rank by
    their own coefficients and a memory of the same pairs as the candidate. ``artefacts``: the store of the
    catalogue's pictures, which has golden vectors, too. ``clients`` (query, product_id,
    client, credit) say which queries are rare. ``judged``: further qrels by name, scored on their own.
    Products that the catalogue lacks do not count. A model that cannot be loaded, gives other vectors than
    where it was first loaded, or none that are finite, has no rows and is named in ``facts.problems``.
    """
    named, there = {"": qrels, **(judged or {})}, pl.col("product_id").is_in(catalog.ids)
    tests = {
        name: describe(own.filter(there), weighted, catalog.categories, clients)
        for name, own in named.items()
    }
    texts = [query for test in tests.values() for query in test["query"].to_list()]
    words = words_of_catalog(catalog, language)
    taken = [] if remembered is None else taken_of(remembered)
    given = _Given(rankings or {}, refreshed)
    validation, kept = _asked(inner, known), _Kept(memory, ranker)
    contest = _Contest(catalog, texts, words, validation, given, taken, kept, seed, threads, artefacts)
    contest.rank_without_model(weighted)
    for system in sorted(
        models, key=lambda name: (MODELS.index(name) if name in MODELS else len(MODELS), name)
    ):
        contest.rank(system, models[system])
    facts = contest.facts()
    scored: dict[str, Evaluation] = {}
    first = 0
    for name, test in tests.items():
        results = [
            score(system, ranked[first : first + test.height], test)
            for system, ranked in contest.rankings.items()
        ]
        own = {"queries": test.height, "part_gains": contest.part_gains(test, first)}
        scored[name] = Evaluation(test, pl.concat(results), facts.model_copy(update=own))
        first += test.height
    return replace(scored.pop(""), vectors=contest.vectors, documents=contest.read, judged=scored)


class _Given(NamedTuple):
    """How releases rank, by system, and which of them are refreshes."""

    rankings: Mapping[str, Ranking]
    refreshed: Collection[str]


class _Kept(NamedTuple):
    """Where the candidate's artefacts are kept; None: nowhere."""

    memory: Path | None
    ranker: Path | None


class _Asked(NamedTuple):
    """The queries that coefficients are fitted to, and the memory of then; None: the one that is served."""

    queries: Validation
    taken: list[Taken] | None


def _asked(inner: pl.DataFrame | None, known: pl.DataFrame | None) -> list[_Asked]:
    if inner is None:
        return []
    if known is None:
        return [_Asked(Validation.of(inner), None)]
    return [
        _Asked(queries, taken_of(known.filter(pl.col("as_of") == day)))
        for day, queries in Validation.by_day(inner).items()
    ]


@dataclass
class _Contest:
    """The systems one after the other.

    What each ranks for ``texts``, the queries of all tests, and what was found of its model.
    """

    catalog: EvaluationCatalog
    texts: list[str]
    words: WordIndex
    asked: list[_Asked]
    given: _Given
    taken: list[Taken]
    kept: _Kept
    seed: int
    threads: int | None
    store: str
    rankings: dict[str, list[list[str]]] = field(default_factory=dict)
    without: dict[str, list[list[str]]] = field(default_factory=dict)  # the candidate's, by the part left out
    by_words: list[list[str]] = field(default_factory=list)  # BM25's ranking, deep enough to be fused
    vectors: Vectors | None = None  # the candidate's, of the catalogue
    read: list[str] = field(default_factory=list)  # what it reads of each product
    fingerprints: dict[str, str] = field(default_factory=dict)
    artefacts: dict[str, Artefact] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    used: dict[str, Ranking] = field(default_factory=dict)
    validated: int = 0
    rankers: dict[str, RankerFacts] = field(default_factory=dict)
    last: "_Encoded | None" = None

    def rank_without_model(self, weighted: pl.DataFrame) -> None:
        """Rank by popularity and by BM25."""
        self.by_words = bm25(self.words, self.texts, depth=FUSED_DEPTH)
        self.rankings["popularity"] = popularity(self.texts, self.catalog, weighted)
        self.rankings["bm25"] = [ranked[:DEPTH] for ranked in self.by_words]

    def rank(self, system: str, folder: Path) -> None:
        """Rank by a model as it would be served. The system before it may have the same model."""
        try:
            self.fingerprints[system] = fingerprint(resolve_model(str(folder)))
            if (
                self.last is None
                or self.last.encoder.fingerprint != self.fingerprints[system]
                or system == "candidate"
            ):
                self.last = None  # let go of it before the next is loaded
                self.last = _Encoded.of(self, self._load(folder))
        except (ModelError, EncodingError, OSError, ValueError) as error:
            self.last = None
            self.problems[system] = f"{type(error).__name__}: {error}"[:500]
            return
        try:  # a disk that is full while a memory is written is no fault of the model
            self._rank_by(system, self.last)
        except (ArtefactError, EncodingError) as error:
            self.problems[system] = f"{type(error).__name__}: {error}"[:500]

    def _load(self, folder: Path) -> Encoder:
        pictures = stored_pictures(self.store) if self.store else None
        encoder = Encoder.load(folder, threads=self.threads, pictures=pictures)
        if self.store:
            GoldenVectors(self.store).check(encoder)
        return encoder

    def _rank_by(self, system: str, model: "_Encoded") -> None:
        self.artefacts[system] = model.artefact
        if system in FITTED:
            deep = dense(model.embedded, self.catalog, depth=FUSED_DEPTH)
            self.rankings[f"{system}_dense"] = [ranked[:DEPTH] for ranked in deep]
            if system == "base":
                self.rankings["rrf"] = rrf(self.by_words, deep)
        with TemporaryDirectory(prefix="searchloop-memory-") as scratch:
            own, sources = self._ranking(system, model, Path(scratch))
            fewer = without_each(own) if system == "candidate" else {}
            self.rankings[system], found = served_and_without(
                model.embedded, sources, self.texts, self.catalog, own, fewer
            )
        self.without |= found
        self.used[system] = own
        if system == "candidate":
            self.vectors = model.embedded.documents
            if self.store:
                GoldenVectors(self.store).keep(model.encoder)
            self.read = [model.encoder.read_of(document) for document in self.catalog.documents]

    def _ranking(self, system: str, model: "_Encoded", scratch: Path) -> tuple[Ranking, Mapping[str, Source]]:
        """Return how a system ranks, and what its parts come from."""
        own = self.given.rankings.get(system)
        if own is None and system in FITTED:
            return self._fitted(system, model, scratch)
        own = own or Ranking()
        return own, self._as_released(system, own, model, scratch)

    def _as_released(
        self, system: str, own: Ranking, model: "_Encoded", scratch: Path
    ) -> Mapping[str, Source]:
        """Return what the parts of a given ranking come from; of a refresh, a memory without the test."""
        words = self.words
        if own.language not in {None, words.language}:
            words = words_of_catalog(self.catalog, own.language or "")
        if system in self.given.refreshed and MEMORY in own.artefacts:
            folder = scratch / "memory"
            remembers = {MEMORY: (str(folder), remember_known(model.known, self.taken, folder))}
            own = own.model_copy(update={"artefacts": own.artefacts | remembers})
        return sources_of(own, words, model_sha256=model.encoder.fingerprint)

    def _fitted(self, system: str, model: "_Encoded", scratch: Path) -> tuple[Ranking, Mapping[str, Source]]:
        """Fit coefficients, and a ranker where it proves itself, to the validation queries."""
        ranking = Ranking(
            coefficients={part: 1.0 for part in PARTS if part not in {MEMORY, PRIOR}},
            language=self.words.language,
            analysis_sha256=analysis_digest(self.words.language),
        )
        if self.taken:
            folder = self._folder(self.kept.memory, system, scratch / "memory")
            digest = remember_known(model.known, self.taken, folder)
            ranking = ranking.model_copy(
                update={
                    "coefficients": dict.fromkeys(PARTS, 1.0),
                    "artefacts": {MEMORY: (str(folder.absolute()), digest)},
                }
            )
        fitted = fit_ranking(
            list(self._moments(model, ranking, scratch)),
            self.catalog,
            ranking,
            folder=self._folder(self.kept.ranker, system, scratch / "ranker"),
            seed=self.seed,
        )
        self.validated = fitted.coefficients.queries
        if fitted.ranker is not None:
            self.rankers[system] = fitted.ranker
        return fitted.ranking, sources_of(fitted.ranking, self.words, model_sha256=model.encoder.fingerprint)

    def _moments(self, model: "_Encoded", ranking: Ranking, scratch: Path) -> Iterator[AskedThen]:
        """Yield the queries to fit to, each time with the memory of it; ``ranking`` weighs every part."""
        for number, (queries, taken) in enumerate(self.asked):
            then = ranking
            if taken is not None and self.taken:
                folder = scratch / f"then-{number}"
                artefact = str(folder), remember_known(model.known, taken, folder)
                then = ranking.model_copy(update={"artefacts": {MEMORY: artefact}})
            sources = sources_of(then, self.words, model_sha256=model.encoder.fingerprint)
            vectors = Embedded(model.known.queries(queries.texts), model.embedded.documents)
            yield AskedThen(queries, vectors, sources)

    def _folder(self, kept: Path | None, system: str, otherwise: Path) -> Path:
        return kept if kept is not None and system == "candidate" else otherwise

    def part_gains(self, test: pl.DataFrame, first: int) -> PartGains:
        """Return what each part of the candidate's score adds in a test, whose texts begin at ``first``."""
        if "candidate" not in self.rankings:
            return {}
        rows = slice(first, first + test.height)
        return part_gains(
            test,
            self.rankings["candidate"][rows],
            {part: ranked[rows] for part, ranked in self.without.items()},
            self.rankings["base"][rows] if "base" in self.rankings else None,
            seed=self.seed,
        )

    def facts(self) -> EvaluationFacts:
        """Return what was found of all tests together."""
        return EvaluationFacts(
            queries=0,
            fingerprints=self.fingerprints,
            artefacts=self.artefacts,
            problems=self.problems,
            rankings=self.used,
            validation_queries=self.validated,
            rankers=self.rankers,
        )


@dataclass(frozen=True)
class _Encoded:
    """What is kept of a model: the vectors of test queries, of the catalogue, and those asked for since."""

    encoder: Encoder
    artefact: Artefact
    embedded: Embedded
    known: KnownVectors

    @classmethod
    def of(cls, contest: _Contest, encoder: Encoder) -> Self:
        """Encode everything."""
        embedded = Embedded.of(encoder, contest.texts, contest.catalog)
        artefact = examine(encoder, embedded.documents, contest.texts)
        return cls(encoder, artefact, embedded, KnownVectors(encoder))


def score(system: str, rankings: list[list[str]], queries: pl.DataFrame) -> pl.DataFrame:
    """Return the results of one system: its rankings are in the order of the queries (``segments``)."""
    scored = list(zip(rankings, gains_of(queries), strict=True))
    return pl.DataFrame(
        {
            "system": [system] * queries.height,
            "query": queries["query"],
            **{
                metric.name: [metric.of(ranked, gains) for ranked, gains in scored]
                for metric in RANKING_METRICS
            },
            "best_in_10": [best_in_top(ranked, gains) for ranked, gains in scored],
            "top": pl.Series([ranked[:10] for ranked in rankings], dtype=pl.List(pl.String)),
        },
        schema_overrides={
            "system": pl.String,
            **{m.name: pl.Float64 for m in RANKING_METRICS},
            "best_in_10": pl.Boolean,
        },
    )


def _fields(models: Iterable[str]) -> frozenset[str]:
    """Return the fields of documents that one of the models reads; one that cannot be loaded reads none."""
    found: set[str] = {TEXT}
    for model in models:
        with suppress(ModelError, ValueError, OSError):
            found |= FieldWeights.read(resolve_model(model)).read_fields
    return frozenset(found)


def main(arguments: list[str]) -> int:
    """Evaluate what the request file says."""
    die_with_parent()
    request = EvaluationRequest.model_validate_json(Path(arguments[0]).read_bytes())
    use_store(open_folders(request.folders, request.cache, request.cache_bytes))
    catalog = EvaluationCatalog.of(pl.read_parquet(request.catalog), _fields(request.models.values()))
    models = {name: Path(folder) for name, folder in request.models.items()}
    found = evaluate(
        catalog,
        pl.read_parquet(request.qrels),
        pl.read_parquet(request.weighted),
        models,
        inner=pl.read_parquet(request.inner) if request.inner else None,
        known=pl.read_parquet(request.known) if request.known else None,
        clients=pl.read_parquet(request.clients) if request.clients else None,
        rankings=request.rankings,
        remembered=pl.read_parquet(request.remembered) if request.remembered else None,
        memory=request.memory,
        ranker=request.ranker,
        seed=request.seed,
        refreshed=request.refreshed,
        judged={name: pl.read_parquet(path) for name, path in request.judged.items()},
        language=request.language,
        threads=request.threads,
        artefacts=request.artefacts,
    )
    if request.pinned and found.vectors is not None:
        encoder = Encoder.load(models["candidate"], threads=request.threads)
        ranking = found.facts.rankings["candidate"]
        ranked = served(
            Embedded(embed_queries(encoder, request.pinned), found.vectors),
            sources_of(
                ranking,
                words_of_catalog(catalog, request.language),
                model_sha256=found.facts.fingerprints["candidate"],
            ),
            request.pinned,
            catalog,
            ranking,
        )
        pl.DataFrame({"query": request.pinned, "top": ranked}).write_parquet(
            request.output / "pinned.parquet"
        )
    found.write(request.output, catalog.ids)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

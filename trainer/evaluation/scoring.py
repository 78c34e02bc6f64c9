"""Score candidate, live, base, BM25, popularity and their fusions.

On the test queries, over the full catalogue. ``python -m trainer.evaluation.scoring REQUEST.json`` does it in
a fresh process from the saved folders, so what is scored is what would be served. Decides no verdict.
Per-query results are kept as Parquet.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import polars as pl

from retrieval.encoder import Encoder, EncodingError, Vectors
from retrieval.lexical import Lexical
from retrieval.model_folder import ModelError, fingerprint, resolve_model
from trainer.evaluation.artefact import Artefact, examine
from trainer.evaluation.files import Evaluation, EvaluationFacts, EvaluationRequest
from trainer.evaluation.fusion import Fitted
from trainer.evaluation.rankers import (
    DEPTH,
    FUSED_DEPTH,
    Embedded,
    EvaluationCatalog,
    bm25,
    dense,
    embed_queries,
    fit_words,
    hybrid,
    popularity,
    rrf,
)
from trainer.evaluation.ranking_metrics import RANKING_METRICS, best_in_top
from trainer.evaluation.segments import describe, thin
from trainer.run.processes import die_with_parent

MODELS = ("base", "live", "candidate")
HYBRIDS = {"base": "base_hybrid", "candidate": "hybrid"}
MAX_INNER = 500


def evaluate(
    catalog: EvaluationCatalog,
    qrels: pl.DataFrame,
    weighted: pl.DataFrame,
    models: Mapping[str, Path],
    *,
    inner: pl.DataFrame | None = None,
    judged: Mapping[str, pl.DataFrame] | None = None,
    threads: int | None = None,
) -> Evaluation:
    """Rank with every system and score it.

    ``weighted``: the training pairs with their credit; ``models``: folder per system name. Besides the models
    and BM25 alone: ``rrf`` fuses base and BM25 by rank; ``hybrid`` and ``base_hybrid`` add BM25 to the
    candidate's and the base model's cosine, as much as ``inner`` says (query, product_id, gain: neither
    trained nor tested; None or too few: nothing). ``judged``: further qrels by name, scored on their own.
    Products that the catalogue lacks do not count. Systems with the same model share its rankings. A model
    that cannot be loaded or gives no finite vectors has no rows and is named in ``facts.problems``.
    """
    named, there = {"": qrels, **(judged or {})}, pl.col("product_id").is_in(catalog.ids)
    tests = {name: describe(own.filter(there), weighted, catalog.categories) for name, own in named.items()}
    texts = [query for test in tests.values() for query in test["query"].to_list()]
    contest = _Contest(catalog, texts, Lexical(catalog.ids, catalog.texts), Validation.of(inner), threads)
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
            _score(system, ranked[first : first + test.height], test)
            for system, ranked in contest.rankings.items()
        ]
        scored[name] = Evaluation(test, pl.concat(results), facts.model_copy(update={"queries": test.height}))
        first += test.height
    return replace(scored.pop(""), vectors=contest.vectors, judged=scored)


@dataclass
class _Contest:
    """The systems one after the other.

    What each ranks for ``texts``, the queries of all tests, and what was found of its model.
    """

    catalog: EvaluationCatalog
    texts: list[str]
    lexical: Lexical
    validation: "Validation"
    threads: int | None
    rankings: dict[str, list[list[str]]] = field(default_factory=dict)
    words: list[list[str]] = field(default_factory=list)  # BM25's ranking, deep enough to be fused
    vectors: Vectors | None = None  # the candidate's, of the catalogue
    fingerprints: dict[str, str] = field(default_factory=dict)
    artefacts: dict[str, Artefact] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    fitted: dict[str, Fitted] = field(default_factory=dict)
    first_with: dict[str, str] = field(default_factory=dict)  # by fingerprint

    def rank_without_model(self, weighted: pl.DataFrame) -> None:
        """Rank by popularity and by BM25."""
        self.words = bm25(self.lexical, self.texts, depth=FUSED_DEPTH)
        self.rankings["popularity"] = popularity(self.texts, self.catalog, weighted)
        self.rankings["bm25"] = [ranked[:DEPTH] for ranked in self.words]

    def rank(self, system: str, folder: Path) -> None:
        """Rank by a model and by what is fused with it.

        A model that another system has shares its rankings.
        """
        try:
            self.fingerprints[system] = fingerprint(resolve_model(str(folder)))
            twin = self.first_with.setdefault(self.fingerprints[system], system)
            if system not in {twin, "candidate"} and twin in self.rankings:
                self.rankings[system], self.artefacts[system] = self.rankings[twin], self.artefacts[twin]
            else:
                self._rank_by(system, Encoder.load(folder, threads=self.threads))
        except (ModelError, EncodingError, OSError, ValueError) as error:
            self.problems[system] = f"{type(error).__name__}: {error}"[:500]

    def _rank_by(self, system: str, encoder: Encoder) -> None:
        embedded = Embedded.of(encoder, self.texts, self.catalog)
        deep = dense(embedded, self.catalog, depth=FUSED_DEPTH)
        self.artefacts[system] = examine(encoder, embedded.documents, self.texts)
        self.rankings[system] = [ranked[:DEPTH] for ranked in deep]
        if system == "base":
            self.rankings["rrf"] = rrf(self.words, deep)
        if system in HYBRIDS:
            self.fitted[HYBRIDS[system]] = found = self.validation.fit(
                encoder, embedded.documents, self.lexical, self.catalog
            )
            self.rankings[HYBRIDS[system]] = hybrid(
                embedded, self.lexical, self.texts, self.catalog, found.coefficient
            )
        if system == "candidate":
            self.vectors = embedded.documents

    def facts(self) -> EvaluationFacts:
        """Return what was found, but for the number of queries."""
        return EvaluationFacts(
            queries=0,
            fingerprints=self.fingerprints,
            artefacts=self.artefacts,
            problems=self.problems,
            words={system: found.coefficient for system, found in self.fitted.items()},
            validation_queries=max((found.queries for found in self.fitted.values()), default=0),
        )


@dataclass(frozen=True)
class Validation:
    """The queries on which a coefficient is fitted, and their gains by product."""

    texts: list[str]
    gains: list[dict[str, float]]

    @classmethod
    def of(cls, qrels: pl.DataFrame | None) -> Self:
        """Take at most ``MAX_INNER`` queries, chosen by a stable hash; None gives none."""
        if qrels is None or qrels.is_empty():
            return cls([], [])
        grouped = thin(qrels.group_by("query").agg("product_id", "gain"), MAX_INNER).sort("query")
        judged = [dict(zip(*row, strict=True)) for row in grouped.select("product_id", "gain").iter_rows()]
        return cls(grouped["query"].to_list(), judged)

    def fit(
        self, encoder: Encoder, documents: Vectors, lexical: Lexical, catalog: EvaluationCatalog
    ) -> Fitted:
        """Return how much of BM25 this model wants; ``documents``: its vectors of the catalogue."""
        return fit_words(
            embed_queries(encoder, self.texts), documents, lexical, self.texts, self.gains, catalog
        )


def _score(system: str, rankings: list[list[str]], queries: pl.DataFrame) -> pl.DataFrame:
    judged = [dict(zip(*row, strict=True)) for row in queries.select("relevant", "gains").iter_rows()]
    scored = list(zip(rankings, judged, strict=True))
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


def main(arguments: list[str]) -> int:
    """Evaluate what the request file says."""
    die_with_parent()
    request = EvaluationRequest.model_validate_json(Path(arguments[0]).read_bytes())
    catalog = EvaluationCatalog.of(pl.read_parquet(request.catalog))
    models = {name: Path(folder) for name, folder in request.models.items()}
    found = evaluate(
        catalog,
        pl.read_parquet(request.qrels),
        pl.read_parquet(request.weighted),
        models,
        inner=pl.read_parquet(request.inner) if request.inner else None,
        judged={name: pl.read_parquet(path) for name, path in request.judged.items()},
        threads=request.threads,
    )
    if request.pinned and found.vectors is not None:
        encoder = Encoder.load(models["candidate"], threads=request.threads)
        ranked = dense(Embedded(embed_queries(encoder, request.pinned), found.vectors), catalog)
        pl.DataFrame({"query": request.pinned, "top": ranked}).write_parquet(
            request.output / "pinned.parquet"
        )
    found.write(request.output, catalog.ids, catalog.texts)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

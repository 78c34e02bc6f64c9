"""Score candidate, live, base, BM25 and popularity on the test queries, over the full catalogue.

``python -m trainer.evaluation REQUEST.json`` does it in a fresh process from the saved folders, so what is scored is what would be served.
Decides no verdict. Per-query results are kept as Parquet.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from retrieval.encoder import Encoder, EncodingError, ModelError, fingerprint, resolve_model
from trainer.artefact import Artefact, examine
from trainer.child import die_with_parent
from trainer.evaluation_files import Evaluation, EvaluationFacts, EvaluationRequest
from trainer.metrics import best_in_top, ndcg, recall, reciprocal_rank
from trainer.rankers import Catalog, bm25, dense, popularity
from trainer.segments import describe

MODELS = ("base", "live", "candidate")


def evaluate(
    catalog: Catalog, qrels: pl.DataFrame, weighted: pl.DataFrame, models: Mapping[str, Path], *, threads: int | None = None
) -> Evaluation:
    """Rank with every system and score it. ``weighted``: the training pairs with their credit; ``models``: folder per system name.

    Systems with the same model share its rankings. A model that cannot be loaded or gives no finite vectors has no rows and is named in
    ``facts.problems``.
    """
    queries = describe(qrels, weighted)
    texts = queries["query"].to_list()
    rankings = {"popularity": popularity(texts, catalog, weighted), "bm25": bm25(texts, catalog)}
    fingerprints: dict[str, str] = {}
    artefacts: dict[str, Artefact] = {}
    problems: dict[str, str] = {}
    vectors = None
    first_with: dict[str, str] = {}
    for system in sorted(models, key=lambda name: (MODELS.index(name) if name in MODELS else -1, name)):
        try:
            fingerprints[system] = fingerprint(resolve_model(str(models[system])))
            twin = first_with.setdefault(fingerprints[system], system)
            if system not in {twin, "candidate"} and twin in rankings:
                rankings[system], artefacts[system] = rankings[twin], artefacts[twin]
                continue
            encoder = Encoder.load(models[system], threads=threads)
            rankings[system], documents = dense(encoder, texts, catalog)
            artefacts[system] = examine(encoder, documents, texts)
        except (ModelError, EncodingError, OSError, ValueError) as error:
            problems[system] = f"{type(error).__name__}: {error}"[:500]
            continue
        if system == "candidate":
            vectors = documents
    results = pl.concat([_score(system, ranked, queries) for system, ranked in rankings.items()])
    facts = EvaluationFacts(queries=queries.height, fingerprints=fingerprints, artefacts=artefacts, problems=problems)
    return Evaluation(queries, results, facts, vectors)


def _score(system: str, rankings: list[list[str]], queries: pl.DataFrame) -> pl.DataFrame:
    judged = [dict(zip(*row, strict=True)) for row in queries.select("relevant", "gains").iter_rows()]
    scored = list(zip(rankings, judged, strict=True))
    return pl.DataFrame(
        {
            "system": [system] * queries.height,
            "query": queries["query"],
            "ndcg10": [ndcg(ranked, gains) for ranked, gains in scored],
            "recall50": [recall(ranked, gains) for ranked, gains in scored],
            "mrr": [reciprocal_rank(ranked, gains) for ranked, gains in scored],
            "best_in_10": [best_in_top(ranked, gains) for ranked, gains in scored],
            "top": pl.Series([ranked[:10] for ranked in rankings], dtype=pl.List(pl.String)),
        },
        schema_overrides={"system": pl.String, "ndcg10": pl.Float64, "recall50": pl.Float64, "mrr": pl.Float64, "best_in_10": pl.Boolean},
    )


def main(arguments: list[str]) -> int:
    """Evaluate what the request file says."""
    die_with_parent()
    request = EvaluationRequest.model_validate_json(Path(arguments[0]).read_bytes())
    catalog = Catalog.of(pl.read_parquet(request.catalog))
    models = {name: Path(folder) for name, folder in request.models.items()}
    found = evaluate(catalog, pl.read_parquet(request.qrels), pl.read_parquet(request.weighted), models, threads=request.threads)
    found.write(request.output, catalog.ids, catalog.texts)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

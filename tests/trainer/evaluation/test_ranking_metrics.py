"""Metrics agree with trec_eval, ties are decided by the id, and the list of metrics is written once."""

import ast
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from trainer.evaluation.bootstrap import interval, resampled_means
from trainer.evaluation.ranking_metrics import (
    RANKING_METRICS,
    best_in_top,
    ndcg,
    recall,
    reciprocal_rank,
    top,
)


def test_metrics_equal_those_of_trec_eval():
    rng = np.random.default_rng(3)
    products = [f"p{i:03}" for i in range(80)]
    runs, qrels = {}, {}
    for number in range(60):
        judged = rng.choice(products, size=rng.integers(1, 20), replace=False)
        qrels[f"q{number}"] = {str(p): int(rng.integers(0, 5)) for p in judged} | {"p000": 1}
        runs[f"q{number}"] = [str(p) for p in rng.permutation(products)[:50]]
    scored = {q: {p: float(100 - rank) for rank, p in enumerate(ranked)} for q, ranked in runs.items()}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10", "recall_50", "recip_rank"}).evaluate(
        scored
    )
    for query, ranked in runs.items():
        gains = {p: float(g) for p, g in qrels[query].items()}
        ours = (ndcg(ranked, gains), recall(ranked, gains), reciprocal_rank(ranked, gains))
        assert ours == pytest.approx(
            (theirs[query]["ndcg_cut_10"], theirs[query]["recall_50"], theirs[query]["recip_rank"]), abs=1e-12
        )


def test_equal_scores_keep_the_order_of_the_columns():
    scores = np.array([[0.5, 0.9, 0.5, 0.9 + 1e-8, 0.1]], dtype=np.float32)
    assert top(scores, 3).tolist() == [[1, 3, 0]]
    assert top(scores, 99).tolist() == [[1, 3, 0, 2, 4]]


def test_a_query_without_gains_scores_nothing():
    assert (ndcg(["a"], {}), recall(["a"], {}), reciprocal_rank(["a"], {}), best_in_top(["a"], {})) == (
        0.0,
        0.0,
        0.0,
        False,
    )


def test_any_of_the_best_products_counts_as_the_best():
    assert best_in_top(["x", "b"], {"a": 2.0, "b": 2.0, "x": 1.0})
    assert not best_in_top(["x"], {"a": 2.0, "b": 2.0, "x": 1.0})


def test_the_bootstrap_of_a_mean_is_as_wide_as_the_theory_says():
    values = np.random.default_rng(1).normal(0.3, 0.2, (400, 1))
    low, high = interval(resampled_means(values, resamples=4000, seed=1)[:, 0], 0.05)
    wide = 1.645 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - wide, values.mean() + wide), abs=0.0015)
    assert interval(resampled_means(values, resamples=4000, seed=1)[:, 0], 0.05) == (low, high)


def test_no_other_file_names_a_further_metric():
    """A metric added to the list is scored, summed up and shown without another file being touched."""
    root = Path(__file__).resolve().parents[3]
    names = {text for metric in RANKING_METRICS[1:] for text in (metric.name, metric.title)}
    files = [path for package in ("trainer", "commands") for path in (root / package).rglob("*.py")]
    told = {
        path.name
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    }
    assert told == {"ranking_metrics.py"}

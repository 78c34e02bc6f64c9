"""Evaluations with known numbers, for the tests of what reads them."""

import polars as pl

from trainer.evaluation.files import Evaluation, EvaluationFacts
from trainer.evaluation.ranking_metrics import RANKING_METRICS
from trainer.evaluation.segments import describe


def an_evaluation(
    count: int = 40, *, lift: float = 0.2, query: str = "query {:02}", judged=None
) -> Evaluation:
    """``candidate`` is better than ``base`` by ``lift`` on every even query and equal on the odd ones."""
    names = [query.format(number) for number in range(count)]
    qrels = pl.DataFrame(
        {
            "query": names,
            "product_id": "p1",
            "credit": 1.0,
            "gain": 1.0,
            "unseen": [n % 4 == 0 for n in range(count)],
        },
        schema={
            "query": pl.String,
            "product_id": pl.String,
            "credit": pl.Float64,
            "gain": pl.Float64,
            "unseen": pl.Boolean,
        },
    )
    queries = describe(
        qrels, pl.DataFrame({"query": ["old"], "product_id": ["p1"]}), {"p1": "a <b> category"}
    )
    parts = []
    for system, add in (("base", 0.0), ("candidate", lift), ("bm25", -0.1)):
        values = [0.5 + (add if n % 2 == 0 else 0.0) for n in range(count)]
        parts.append(
            pl.DataFrame(
                {
                    "system": [system] * count,
                    "query": names,
                    **{m.name: values for m in RANKING_METRICS},
                    "best_in_10": [True] * count,
                    "top": [["p1", "p2"]] * count,
                },
                schema_overrides={
                    "system": pl.String,
                    "query": pl.String,
                    **{m.name: pl.Float64 for m in RANKING_METRICS},
                    "top": pl.List(pl.String),
                },
            )
        )
    return Evaluation(queries, pl.concat(parts), EvaluationFacts(queries=count), judged=judged or {})

"""What an evaluation says in numbers.

Means, intervals, differences to each baseline, and the queries that changed most. Pure. nDCG@10 throughout
where no metric is named; intervals are 95 % of a paired bootstrap over queries. Judges nothing: that is the
gate's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from schemas.training import Score
from trainer.evaluation.bootstrap import Floats, interval, resampled_means
from trainer.evaluation.files import Evaluation
from trainer.evaluation.ranking_metrics import RANKING_METRICS
from trainer.evaluation.segments import slices_of

BASELINES = ("live", "base", "bm25")
RESAMPLES = 2000
SHOWN = 5


@dataclass(frozen=True)
class Difference:
    """The mean of ``ours`` minus ``theirs`` over the n queries of a segment.

    Paired by query, with its interval.
    """

    ours: str
    theirs: str
    segment: str
    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class QueryChange:
    """One query before and after.

    nDCG@10 of both systems, and the titles of what each ranks first and of what is relevant.
    """

    query: str
    credit: float
    before: float
    after: float
    top_before: list[str]
    top_after: list[str]
    relevant: list[str]


@dataclass(frozen=True)
class Summary:
    """``means``: by system and metric, over all queries.

    ``scores``: nDCG@10 by system and segment. Empty segments are left out.
    """

    queries: int
    means: dict[str, dict[str, float]]
    scores: dict[str, dict[str, Score]]
    differences: list[Difference]


def summarise(
    evaluation: Evaluation,
    *,
    ours: Sequence[str] = ("candidate",),
    seed: int,
    resamples: int = RESAMPLES,
) -> Summary:
    """Return the numbers of an evaluation; ``ours`` are compared with each of ``BASELINES`` that was scored.

    No queries give empty ones.
    """
    if evaluation.queries.is_empty():
        return Summary(0, {}, {}, [])
    by_system = values_of(evaluation)
    systems = sorted(by_system, key=lambda system: (-float(by_system[system].mean()), system))
    table = np.stack([by_system[system] for system in systems], axis=1)
    column = {system: number for number, system in enumerate(systems)}
    scores: dict[str, dict[str, Score]] = {system: {} for system in systems}
    differences: list[Difference] = []
    for number, segment in enumerate(slices_of(evaluation.queries)):
        values = table[evaluation.queries[segment].to_numpy()]
        if not len(values):
            continue
        drawn = resampled_means(values, resamples=resamples, seed=seed + number)
        for system in systems:
            low, high = interval(drawn[:, column[system]], 0.025)
            scores[system][segment] = Score(
                mean=float(values[:, column[system]].mean()), ci_low=low, ci_high=high, n=len(values)
            )
        for one in (system for system in ours if system in column):
            for other in (system for system in BASELINES if system in column):
                low, high = interval(drawn[:, column[one]] - drawn[:, column[other]], 0.025)
                mean = float((values[:, column[one]] - values[:, column[other]]).mean())
                differences.append(Difference(one, other, segment, mean, low, high, len(values)))
    metrics = [m.name for m in RANKING_METRICS if m.name in evaluation.results.columns]
    averaged = evaluation.results.group_by("system").agg(pl.col(metrics).mean())
    means = {row.pop("system"): row for row in averaged.iter_rows(named=True)}
    return Summary(len(table), {system: means[system] for system in systems}, scores, differences)


def values_of(evaluation: Evaluation) -> dict[str, Floats]:
    """Return nDCG@10 by system, in the order of the evaluation's queries."""
    order = evaluation.queries.select("query")
    values = {}
    for (system,), own in evaluation.results.group_by("system"):
        values[str(system)] = order.join(own, on="query", how="left", maintain_order="left")[
            "ndcg10"
        ].to_numpy()
    return values


def changes(
    evaluation: Evaluation, titles: Mapping[str, str], *, before: str, after: str
) -> list[QueryChange]:
    """Return every query, the greatest gain first, ties by traffic, then text.

    Empty when one of the systems was not scored.
    """
    both = evaluation.queries.select("query", "credit", "relevant")
    for system, side in ((before, "before"), (after, "after")):
        own = evaluation.results.filter(pl.col("system") == system).select(
            "query", pl.col("ndcg10", "top").name.suffix(f"_{side}")
        )
        both = both.join(own, on="query", how="inner")
    ordered = both.with_columns(change=pl.col("ndcg10_after") - pl.col("ndcg10_before")).sort(
        "change", "credit", "query", descending=[True, True, False]
    )
    return [
        QueryChange(
            row["query"],
            row["credit"],
            row["ndcg10_before"],
            row["ndcg10_after"],
            *(
                [titles.get(product, product) for product in row[name][:SHOWN]]
                for name in ("top_before", "top_after", "relevant")
            ),
        )
        for row in ordered.iter_rows(named=True)
    ]

"""The validation queries, neither trained nor tested: they decide how a model ranks.

By which coefficients, and with which ranker.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import polars as pl

from retrieval.ranking import DENSE, FIXED, Parts, Source, trimmed, weighed
from schemas.releases import Ranking
from trainer.evaluation.files import RankerFacts
from trainer.evaluation.fusion import Fitted, fit
from trainer.evaluation.ranker_fit import Example, fit_ranker, keep
from trainer.evaluation.rankers import Embedded, EvaluationCatalog, parts_of
from trainer.evaluation.segments import thin

MAX_INNER = 500


class FittedRanking(NamedTuple):
    """How a model ranks, what its coefficients come from, and its ranker; None: nothing is weighed for it."""

    ranking: Ranking
    coefficients: Fitted
    ranker: RankerFacts | None = None


@dataclass(frozen=True)
class Validation:
    """Queries that are asked at one time, and their gains by product."""

    texts: list[str]
    gains: list[dict[str, float]]

    @classmethod
    def of(cls, qrels: pl.DataFrame) -> Self:
        """Take at most ``MAX_INNER`` queries, chosen by a stable hash."""
        (found,) = cls.by_day(qrels.with_columns(as_of=0)).values() or [cls([], [])]
        return found

    @classmethod
    def by_day(cls, asked: pl.DataFrame) -> dict[int, Self]:
        """Take query, product_id, gain and as_of: by that day at most ``MAX_INNER`` queries in all."""
        each = asked.group_by("query", "as_of").agg("product_id", "gain").sort("query", "as_of")
        found: dict[int, Self] = {}
        for query, day, ids, gains in thin(each, MAX_INNER).sort("query", "as_of").iter_rows():
            own = found.setdefault(day, cls([], []))
            own.texts.append(query)
            own.gains.append(dict(zip(ids, gains, strict=True)))
        return found


class AskedThen(NamedTuple):
    """Queries that are asked at one time, their vectors, and the sources as they were then."""

    queries: Validation
    embedded: Embedded
    sources: Mapping[str, Source]


def fit_coefficients(moments: Sequence[AskedThen], catalog: EvaluationCatalog) -> Fitted:
    """Return how much of each source a model wants; the moments have the same sources."""
    names = sorted(set().union(*(one.sources for one in moments)) - FIXED.keys())
    every = Ranking(coefficients=dict.fromkeys([DENSE, *names], 1.0))
    return fit(((parts, gains) for _, parts, gains in _examples(moments, catalog, every)), names)


def fit_ranking(
    moments: Sequence[AskedThen], catalog: EvaluationCatalog, whole: Ranking, *, folder: Path, seed: int
) -> FittedRanking:
    """Return how a model should rank: by which coefficients, and with a ranker where it proves itself.

    ``whole`` weighs every part. What it names and nothing weighs is left out. The ranker is written into
    ``folder``, in place of what is there.
    """
    found = fit_coefficients(moments, catalog)
    summed = trimmed(whole.model_copy(update={"coefficients": found.coefficients}))
    if not weighed(summed):
        return FittedRanking(summed, found)
    learned = fit_ranker((Example.of(*one, summed) for one in _examples(moments, catalog, summed)), seed=seed)
    return FittedRanking(keep(learned, summed, folder), found, learned.facts)


def _examples(
    moments: Sequence[AskedThen], catalog: EvaluationCatalog, ranking: Ranking
) -> Iterator[tuple[str, Parts, Mapping[str, float]]]:
    for one in moments:
        texts = one.queries.texts
        parts = parts_of(one.embedded, one.sources, texts, catalog, ranking)
        yield from zip(texts, parts, one.queries.gains, strict=True)

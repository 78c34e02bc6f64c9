"""The validation queries, neither trained nor tested: they decide how a model ranks.

By which coefficients, and with which ranker.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import polars as pl

from retrieval.ranking import Source
from schemas.releases import Ranking
from trainer.evaluation.fusion import Fitted
from trainer.evaluation.ranker_fit import Example, FittedRanker, fit_ranker
from trainer.evaluation.rankers import Embedded, EvaluationCatalog, fit_ranking, parts_of
from trainer.evaluation.segments import thin

MAX_INNER = 500


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

    def fit(self, embedded: Embedded, sources: Mapping[str, Source], catalog: EvaluationCatalog) -> Fitted:
        """Return how much of each source a model wants; ``embedded``: its vectors of these queries."""
        return fit_ranking(embedded, sources, self.texts, self.gains, catalog)

    def fit_ranker(
        self,
        embedded: Embedded,
        sources: Mapping[str, Source],
        catalog: EvaluationCatalog,
        ranking: Ranking,
        seed: int,
    ) -> FittedRanker:
        """Return what can be added to the sum of parts."""
        parts = parts_of(embedded, sources, self.texts, catalog, ranking)
        queries = zip(self.texts, parts, self.gains, strict=True)
        return fit_ranker((Example.of(*one, ranking) for one in queries), seed=seed)

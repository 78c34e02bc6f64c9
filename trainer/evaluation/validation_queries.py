"""The validation queries, neither trained nor tested: they decide how a model ranks.

By which coefficients, and with which ranker.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import polars as pl

from retrieval.ranking import Source, trimmed, weighed
from schemas.releases import Ranking
from trainer.evaluation.files import RankerFacts
from trainer.evaluation.fusion import Fitted
from trainer.evaluation.ranker_fit import Example, fit_ranker, keep
from trainer.evaluation.rankers import Embedded, EvaluationCatalog, fit_ranking, parts_of
from trainer.evaluation.segments import thin

MAX_INNER = 500


class FittedRanking(NamedTuple):
    """How a model ranks, what its coefficients come from, and its ranker; None: nothing is weighed for it."""

    ranking: Ranking
    coefficients: Fitted
    ranker: RankerFacts | None = None


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

    def fitted(
        self,
        embedded: Embedded,
        sources: Mapping[str, Source],
        catalog: EvaluationCatalog,
        whole: Ranking,
        *,
        folder: Path,
        seed: int,
    ) -> FittedRanking:
        """Return how a model should rank: by which coefficients, and with a ranker where it proves itself.

        ``whole`` weighs every part; ``sources`` are its. What it names and nothing weighs is left out. The
        ranker is written into ``folder``, in place of what is there.
        """
        found = self.fit(embedded, sources, catalog)
        summed = trimmed(whole.model_copy(update={"coefficients": found.coefficients}))
        if not weighed(summed):
            return FittedRanking(summed, found)
        parts = parts_of(embedded, sources, self.texts, catalog, summed)
        queries = zip(self.texts, parts, self.gains, strict=True)
        learned = fit_ranker((Example.of(*one, summed) for one in queries), seed=seed)
        return FittedRanking(keep(learned, summed, folder), found, learned.facts)

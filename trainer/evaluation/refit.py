"""How much each part weighs with what is known today, and what that does to queries that nobody remembers.

The memory that is asked here lacks the test and the validation queries, as that of a training run does: with
the one that is served every remembered query would find its own answer.
"""

from collections.abc import Mapping

import polars as pl

from retrieval.encoder import Vectors
from retrieval.ranking import PARTS, Source
from schemas.releases import Ranking
from trainer.evaluation.fusion import Fitted
from trainer.evaluation.rankers import Embedded, EvaluationCatalog, served
from trainer.evaluation.scoring import score
from trainer.evaluation.validation_queries import Validation


def refit(
    documents: Vectors,
    validation: tuple[Validation, Vectors],
    test: tuple[pl.DataFrame, Vectors],
    sources: Mapping[str, Source],
    catalog: EvaluationCatalog,
    live: Ranking,
) -> tuple[Fitted, pl.DataFrame]:
    """Fit coefficients to the validation queries; measure them and how live ranks on the test queries.

    Returns what was fitted, and results as of an evaluation: ``candidate`` by the fitted coefficients,
    ``live`` by its own ranking, both over the same ``sources``: of every part, and of what else live weighs.
    ``documents`` (m, dim) are in the order of the catalogue; each set of queries comes with its vectors.
    ``test`` has the columns of ``segments.describe``.
    """
    asked, vectors = validation
    parts = {name: source for name, source in sources.items() if name in PARTS}
    fitted = asked.fit(Embedded(vectors, documents), parts, catalog)
    queries, vectors = test
    texts = queries["query"].to_list()

    def results(system: str, ranking: Ranking) -> pl.DataFrame:
        ranked = served(Embedded(vectors, documents), sources, texts, catalog, ranking)
        return score(system, ranked, queries)

    both = [results("candidate", Ranking(coefficients=fitted.coefficients)), results("live", live)]
    return fitted, pl.concat(both)

"""A week's queries ranked by all that was learnt before it: cosine, words, characters, memory, prior.

One sum of parts between 0 and about 1, with coefficients that were chosen on weeks 35 to 37 of the shared
clicks, by coordinate ascent, with the pretrained encoder. The memory is the artefact itself, written and
loaded.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from retrieval.character_index import CharacterIndex, build_character_index
from retrieval.encoder import Encoder
from retrieval.query_memory import QueryMemory, Taken, remembered_queries, write_memory
from retrieval.words import WordIndex
from trainer.evaluation.fusion import Scores
from trainer.evaluation.rankers import Embedded, EvaluationCatalog, embed_queries
from trainer.evaluation.ranking_metrics import top

COEFFICIENTS = {"dense": 1.0, "words": 0.2, "characters": 3.0, "memory": 2.5, "prior": 0.65}
_DEPTH = 50


class Remembering:
    """The catalogue with its words and characters; ranks by what the pairs of earlier weeks say."""

    def __init__(self, catalog: EvaluationCatalog, words: WordIndex) -> None:
        self._catalog, self._words = catalog, words
        self._column = {product: n for n, product in enumerate(catalog.ids)}
        self._characters = CharacterIndex.of(build_character_index(catalog.texts))

    def parts(
        self, queries: Sequence[str], embedded: Embedded, encoder: Encoder, pairs: pl.DataFrame
    ) -> dict[str, Scores]:
        """Return each part (n, m); ``pairs``: query, product_id, credit of all before."""
        everything = np.arange(len(self._catalog.ids), dtype=np.int64)
        characters = [self._characters.similarities(self._characters.read(q), everything) for q in queries]
        return {
            "dense": embedded.queries @ embedded.documents.T,
            "words": self._matrix(self._words.best(query, len(everything)) for query in queries),
            "characters": np.array(characters, dtype=np.float32).reshape(len(queries), len(everything)),
            "memory": self._memory(queries, embedded, encoder, pairs),
            "prior": np.tile(self._prior(pairs), (len(queries), 1)),
        }

    def rankings(self, parts: Mapping[str, Scores], *, without: str | None = None) -> list[list[str]]:
        """Return the first ids per query by the sum of the parts, one of them left out if it is named."""
        summed = np.sum([c * parts[name] for name, c in COEFFICIENTS.items() if name != without], axis=0)
        return [[self._catalog.ids[column] for column in columns] for columns in top(summed, _DEPTH).tolist()]

    def _memory(
        self, queries: Sequence[str], embedded: Embedded, encoder: Encoder, pairs: pl.DataFrame
    ) -> Scores:
        taken = [Taken(*row) for row in pairs.select("query", "product_id", "credit").iter_rows()]
        earlier = remembered_queries(taken)
        with tempfile.TemporaryDirectory(prefix="searchloop-query-memory-") as folder:
            write_memory(
                Path(folder) / "memory",
                taken,
                earlier,
                embed_queries(encoder, earlier),
                model_sha256=encoder.fingerprint,
            )
            found = QueryMemory.load(Path(folder) / "memory").values(queries, embedded.queries)
        return self._matrix(found)

    def _matrix(self, found: Iterable[Mapping[str, float]]) -> Scores:
        rows = []
        for values in found:
            row = np.zeros(len(self._column), dtype=np.float32)
            for product, value in values.items():
                row[self._column[product]] = value
            rows.append(row)
        return np.array(rows, dtype=np.float32).reshape(len(rows), len(self._column))

    def _prior(self, pairs: pl.DataFrame) -> Scores:
        credit = dict(pairs.group_by("product_id").agg(pl.col("credit").sum()).iter_rows())
        logs = np.log1p([credit.get(product, 0.0) for product in self._catalog.ids])
        prior: Scores = (logs / max(float(logs.max(initial=0.0)), 1e-9)).astype(np.float32)
        return prior

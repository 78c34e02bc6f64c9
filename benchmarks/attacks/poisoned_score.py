"""What made up clients move in the learned score without training: by its memory and its popularity.

The pretrained model with words, characters, memory and popularity, weighed by what held-out queries of the
honest shop want, as in a run. Each attack's product is looked for after the query that was bought for
(``asked``), after the same query with a letter missing (``misspelt``), and after the honest query most like
it (``like_it``): of the made up clients nobody asked these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.attacks.poisoned_shop import PoisonAttack
from retrieval.encoder import Encoder
from retrieval.memory_parts import sources_of
from retrieval.query_memory import Taken, remembered_queries, write_memory
from retrieval.ranking import MEMORY, PARTS, Source, rank
from schemas.releases import Ranking
from trainer.evaluation.rankers import (
    Embedded,
    EvaluationCatalog,
    embed_queries,
    parts_of,
    words_of_catalog,
)
from trainer.evaluation.validation_queries import AskedThen, Validation, fit_coefficients

ASKED, MISSPELT, LIKE = "asked", "misspelt", "like_it"
HONEST = "honest"


@dataclass(frozen=True)
class Pushed:
    """The product's rank from 1 and what memory says of it, by memory and kind of query.

    In the order of the attacks.
    """

    ranks: dict[str, dict[str, list[int]]]
    memory: dict[str, dict[str, list[float]]]
    coefficients: dict[str, float]


def pushed(
    attacks: Sequence[PoisonAttack],
    catalog: EvaluationCatalog,
    memories: Mapping[str, Sequence[Taken]],
    inner: pl.DataFrame,
    *,
    model: Path,
    language: str,
    folder: Path,
) -> Pushed:
    """Rank for every attack under each of ``memories``; that of the ``honest`` shop decides the weights."""
    encoder = Encoder.load(model, threads=1)
    queries = sorted({q for taken in memories.values() for q in remembered_queries(taken)})
    vectors = embed_queries(encoder, queries)
    row = {query: number for number, query in enumerate(queries)}
    words = words_of_catalog(catalog, language)

    def sources(name: str) -> Mapping[str, Source]:
        taken = memories[name]
        own = remembered_queries(taken)
        digest = write_memory(
            folder / name, taken, own, vectors[[row[q] for q in own]], model_sha256=encoder.fingerprint
        )
        remembers = {MEMORY: (str(folder / name), digest)}
        every = Ranking(coefficients=dict.fromkeys(PARTS, 1.0), artefacts=remembers)
        return sources_of(every, words, model_sha256=encoder.fingerprint)

    by_name = {name: sources(name) for name in memories}
    validation = Validation.of(inner)
    embedded = Embedded.of(encoder, validation.texts, catalog)
    fitted = fit_coefficients([AskedThen(validation, embedded, by_name[HONEST])], catalog)
    ranking = Ranking(coefficients=fitted.coefficients)
    known = remembered_queries(memories[HONEST])
    near = vectors[[row[q] for q in known]]
    asked = {
        ASKED: [one.query for one in attacks],
        MISSPELT: [misspelt(one.query) for one in attacks],
        LIKE: [known[_nearest(near, vectors[row[one.query]], known, one.query)] for one in attacks],
    }
    ranks: dict[str, dict[str, list[int]]] = {name: {} for name in memories}
    said: dict[str, dict[str, list[float]]] = {name: {} for name in memories}
    for kind, texts in asked.items():
        own = Embedded(embed_queries(encoder, texts), embedded.documents)
        for name, found in by_name.items():
            answers = list(
                parts_of(own, found, texts, catalog, Ranking(coefficients=dict.fromkeys(PARTS, 1.0)))
            )
            ranks[name][kind], said[name][kind] = [], []
            for attack, parts in zip(attacks, answers, strict=True):
                order = [product for product, _ in rank(parts, ranking, len(catalog.ids))]
                place = order.index(attack.product_id) + 1 if attack.product_id in order else len(catalog.ids)
                ranks[name][kind].append(place)
                said[name][kind].append(round(parts[MEMORY].get(attack.product_id, 0.0), 3))
    return Pushed(ranks, said, fitted.coefficients)


def misspelt(query: str) -> str:
    """Return the query without the letter in its middle.

    >>> misspelt("kettle")
    'ketle'
    """
    middle = len(query) // 2
    return query[:middle] + query[middle + 1 :]


def _nearest(
    vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]],
    vector: np.ndarray[tuple[int], np.dtype[np.float32]],
    known: Sequence[str],
    query: str,
) -> int:
    likeness = vectors @ vector
    likeness[known.index(query)] = -1.0
    return int(likeness.argmax())

"""The systems that are compared: each ranks the whole catalogue for every query.

Dense models, BM25, what a searcher serves, popularity.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from retrieval.document import FIELDS, only, text_of
from retrieval.encoder import Encoder, Vectors
from retrieval.ranking import DENSE, DEPTHS, Parts, Source, contest, rank
from retrieval.word_schema import WordDocument
from retrieval.words import WordIndex
from schemas.releases import Ranking
from trainer.evaluation.fusion import SHOWN, Scores, by_rank
from trainer.evaluation.ranking_metrics import top

DEPTH = 50
FUSED_DEPTH = 200
_CHUNK = 64


@dataclass(frozen=True)
class EvaluationCatalog:
    """The products that compete, sorted by id, so that a tie is the smaller id's."""

    ids: list[str]
    titles: dict[str, str]
    documents: list[str]
    categories: dict[str, str]
    identifiers: list[list[str]]
    descriptions: list[str]

    @classmethod
    def of(cls, frame: pl.DataFrame, fields: Collection[str] = FIELDS) -> "EvaluationCatalog":
        """Build from the snapshot's frame: product_id, title, text; and the others where they are.

        ``fields``: those of documents that are kept, at least all that the models at hand read.
        """
        frame = frame.sort("product_id")
        ids = frame["product_id"].to_list()
        categories = (
            dict(zip(ids, frame["category"].to_list(), strict=True)) if "category" in frame.columns else {}
        )
        named = frame["identifiers"].to_list() if "identifiers" in frame.columns else [[] for _ in ids]
        titles = dict(zip(ids, frame["title"].to_list(), strict=True))
        described = frame["description"].to_list() if "description" in frame.columns else [""] * len(ids)
        documents = [only(document, fields) for document in frame["text"]]
        return cls(ids, titles, documents, categories, named, described)


@dataclass(frozen=True)
class Embedded:
    """Unit vectors of one model.

    ``queries`` (n, dim) in the order of the texts, ``documents`` (m, dim) in that of the catalogue.
    """

    queries: Vectors
    documents: Vectors

    @classmethod
    def of(cls, encoder: Encoder, queries: Sequence[str], catalog: EvaluationCatalog) -> Self:
        """Encode all. What the model reads alike is encoded once, so such products tie exactly."""
        read = [encoder.read_of(document) for document in catalog.documents]
        unique = sorted(set(read))
        number = {document: i for i, document in enumerate(unique)}
        documents = encoder.encode_documents(unique)[[number[document] for document in read]]
        return cls(embed_queries(encoder, queries), documents)


def embed_queries(encoder: Encoder, queries: Sequence[str]) -> Vectors:
    """Return (n, dim) unit rows in the order of the texts; those of like length are encoded together."""
    order = sorted(range(len(queries)), key=lambda i: len(queries[i]))
    out = np.zeros((len(queries), encoder.dim), dtype=np.float32)
    for start in range(0, len(order), _CHUNK):
        rows = order[start : start + _CHUNK]
        out[rows] = encoder.encode_queries([queries[i] for i in rows])
    return out


def dense(vectors: Embedded, catalog: EvaluationCatalog, *, depth: int = DEPTH) -> list[list[str]]:
    """Return the first ``depth`` ids per query by cosine."""
    return [
        ranking
        for rows in _chunks(len(vectors.queries))
        for ranking in _ranked(vectors.queries[rows] @ vectors.documents.T, catalog, depth)
    ]


def parts_of(
    vectors: Embedded,
    sources: Mapping[str, Source],
    queries: Sequence[str],
    catalog: EvaluationCatalog,
    ranking: Ranking,
) -> Iterator[Parts]:
    """Yield per query the values of its candidates by part, as serving computes them."""
    column = {product: number for number, product in enumerate(catalog.ids)}
    for rows in _chunks(len(queries)):
        cosines = vectors.queries[rows] @ vectors.documents.T
        for query, vector, own, nearest in zip(
            queries[rows], vectors.queries[rows], cosines, top(cosines, DEPTHS[DENSE]).tolist(), strict=True
        ):
            found = contest(query, vector, {catalog.ids[n]: float(own[n]) for n in nearest}, sources, ranking)
            yield found.complete(partial(_cosines, own, column))


def served(
    vectors: Embedded,
    sources: Mapping[str, Source],
    queries: Sequence[str],
    catalog: EvaluationCatalog,
    ranking: Ranking,
) -> list[list[str]]:
    """Return the first ``DEPTH`` ids per query as a searcher with this model and ranking answers."""
    return served_and_without(vectors, sources, queries, catalog, ranking, {})[0]


def served_and_without(
    vectors: Embedded,
    sources: Mapping[str, Source],
    queries: Sequence[str],
    catalog: EvaluationCatalog,
    ranking: Ranking,
    without: Mapping[str, Ranking],
) -> tuple[list[list[str]], dict[str, list[list[str]]]]:
    """Return what is served, and the first ten by each ranking of ``without``.

    They weigh parts of ``ranking``, whose candidates and values are taken once for all.
    """
    whole: list[list[str]] = []
    fewer: dict[str, list[list[str]]] = {name: [] for name in without}
    for parts in parts_of(vectors, sources, queries, catalog, ranking):
        whole.append([product for product, _ in rank(parts, ranking, DEPTH)])
        for name, own in without.items():
            fewer[name].append([product for product, _ in rank(parts, own, SHOWN)])
    return whole, fewer


def _cosines(own: npt.NDArray[np.float32], column: Mapping[str, int], ids: Sequence[str]) -> dict[str, float]:
    return {product: float(own[column[product]]) for product in ids if product in column}


def rrf(first: list[list[str]], second: list[list[str]]) -> list[list[str]]:
    """Return the first ``DEPTH`` ids per query by reciprocal rank fusion of two systems.

    Their rankings should be ``FUSED_DEPTH`` deep.
    """
    return [by_rank(pair, DEPTH) for pair in zip(first, second, strict=True)]


def bm25(words: WordIndex, queries: Sequence[str], *, depth: int = DEPTH) -> list[list[str]]:
    """Return the first ``depth`` ids per query by BM25; only products that share a word with the query."""
    return [list(words.best(query, depth)) for query in queries]


def words_of_catalog(catalog: EvaluationCatalog, language: str) -> WordIndex:
    """Return the words of the catalogue's texts."""
    words = WordIndex(language)
    products = zip(catalog.ids, catalog.documents, catalog.identifiers, catalog.descriptions, strict=True)
    words.change(
        WordDocument(i, text_of(document), identifiers=named, description=described)
        for i, document, named, described in products
    )
    return words


def popularity(queries: Sequence[str], catalog: EvaluationCatalog, credit: pl.DataFrame) -> list[list[str]]:
    """Return for every query the same ids.

    Those with the most credit in training (query, product_id, credit).
    """
    totals = dict(credit.group_by("product_id").agg(pl.col("credit").sum()).iter_rows())
    ordered = sorted(catalog.ids, key=lambda product: (-totals.get(product, 0.0), product))[:DEPTH]
    return [ordered for _ in queries]


def _chunks(count: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, count, _CHUNK)]


def _ranked(scores: Scores, catalog: EvaluationCatalog, depth: int) -> list[list[str]]:
    return [[catalog.ids[column] for column in columns] for columns in top(scores, depth).tolist()]

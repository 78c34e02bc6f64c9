"""The systems that are compared: each ranks the whole catalogue for every query. Dense models, BM25, popularity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from retrieval.encoder import Encoder
from retrieval.lexical import Lexical
from trainer.metrics import top

DEPTH = 50
_CHUNK = 64


@dataclass(frozen=True)
class Catalog:
    """The products that compete, sorted by id, so that a tie is the smaller id's."""

    ids: list[str]
    titles: dict[str, str]
    texts: list[str]

    @classmethod
    def of(cls, frame: pl.DataFrame) -> "Catalog":
        """Build from the snapshot's frame (product_id, title, text)."""
        frame = frame.sort("product_id")
        ids = frame["product_id"].to_list()
        return cls(ids, dict(zip(ids, frame["title"].to_list(), strict=True)), frame["text"].to_list())


def dense(encoder: Encoder, queries: Sequence[str], catalog: Catalog) -> tuple[list[list[str]], npt.NDArray[np.float32]]:
    """Return the first ``DEPTH`` ids per query by cosine, and the catalogue's vectors (n, dim) in the order of its ids.

    A text is encoded once, so products of equal text tie exactly.
    """
    unique = sorted(set(catalog.texts))
    number = {text: i for i, text in enumerate(unique)}
    documents = encoder.encode_documents(unique)[[number[text] for text in catalog.texts]]
    order = sorted(range(len(queries)), key=lambda i: len(queries[i]))
    ranked: list[list[str]] = [[] for _ in queries]
    for start in range(0, len(order), _CHUNK):
        rows = order[start : start + _CHUNK]
        best = top(encoder.encode_queries([queries[i] for i in rows]) @ documents.T, DEPTH)
        for row, columns in zip(rows, best.tolist(), strict=True):
            ranked[row] = [catalog.ids[c] for c in columns]
    return ranked, documents


def bm25(queries: Sequence[str], catalog: Catalog) -> list[list[str]]:
    """Return the first ``DEPTH`` ids per query by BM25; only products that share a word with the query."""
    return [[product for product, _ in hits] for hits in Lexical(catalog.ids, catalog.texts).rank(list(queries), DEPTH)]


def popularity(queries: Sequence[str], catalog: Catalog, credit: pl.DataFrame) -> list[list[str]]:
    """Return for every query the same ids: those with the most credit in training (query, product_id, credit)."""
    totals = dict(credit.group_by("product_id").agg(pl.col("credit").sum()).iter_rows())
    ordered = sorted(catalog.ids, key=lambda product: (-totals.get(product, 0.0), product))[:DEPTH]
    return [ordered for _ in queries]

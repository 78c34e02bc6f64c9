"""Build the memory of earlier queries that a model is measured and served with."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from retrieval.encoder import Encoder
from retrieval.query_memory import Taken, remembered_queries, write_memory
from trainer.evaluation.known_vectors import KnownVectors

MOST_QUERIES = 200_000


def taken_of(pairs: pl.DataFrame) -> list[Taken]:
    """Return the pairs (query, product_id, credit > 0, client) as a memory takes them (``data.remembered``).

    Those of the ``MOST_QUERIES`` queries with the most credit, ties by text.
    """
    kept = (
        pairs.group_by("query")
        .agg(pl.col("credit").sum().alias("total"))
        .sort("total", "query", descending=[True, False])
        .head(MOST_QUERIES)
    )
    rows = pairs.join(kept, on="query", how="semi").select("query", "product_id", "credit", "client")
    return [Taken(*row) for row in rows.iter_rows()]


def remember(encoder: Encoder, taken: Sequence[Taken], folder: Path) -> str:
    """Write the memory into ``folder``, in place of what is there, and return its digest."""
    return remember_known(KnownVectors(encoder), taken, folder)


def remember_known(known: KnownVectors, taken: Sequence[Taken], folder: Path) -> str:
    """Do as ``remember``, and encode only what is not known."""
    shutil.rmtree(folder, ignore_errors=True)
    queries = remembered_queries(taken)
    return write_memory(folder, taken, queries, known.queries(queries), model_sha256=known.model_sha256)

"""Groups of test queries that are looked at on their own. Pure."""

from hashlib import blake2b

import polars as pl

HEAD_SHARE = 0.5
SEGMENTS = ("all", "unseen", "head", "tail", "new_product")
MAX_QUERIES = 4000


def describe(qrels: pl.DataFrame, trained: pl.DataFrame) -> pl.DataFrame:
    """Return one row per test query, sorted by query: query, credit, gains {product: gain} as two lists, and one boolean per segment.

    ``head``: the queries that, by falling credit, hold the first half of all credit; ``tail`` the others. ``unseen``: never trained.
    ``new_product``: the best product has no credit in ``trained``. More than ``MAX_QUERIES`` queries are thinned by a stable hash.
    """
    known = set(trained["product_id"].to_list())
    queries = (
        qrels.sort("query", "gain", "product_id", descending=[False, True, False])
        .group_by("query", maintain_order=True)
        .agg(pl.col("credit").sum(), pl.col("unseen").first(), relevant=pl.col("product_id"), gains=pl.col("gain"))
    )
    queries = thin(queries, MAX_QUERIES)
    before = pl.col("credit").cum_sum() - pl.col("credit")
    return (
        queries.sort("credit", "query", descending=[True, False])
        .with_columns(
            all=pl.lit(value=True),
            head=before < HEAD_SHARE * pl.col("credit").sum(),
            new_product=~pl.col("relevant").list.first().is_in(list(known)),
        )
        .with_columns(tail=~pl.col("head"))
        .sort("query")
    )


def thin(queries: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return at most ``most`` rows, chosen by a stable hash of the column ``query``."""
    if queries.height <= most:
        return queries
    return queries.sort(pl.col("query").map_elements(_stable, return_dtype=pl.UInt64)).head(most)


def _stable(query: str) -> int:
    return int.from_bytes(blake2b(query.encode(), digest_size=8).digest())

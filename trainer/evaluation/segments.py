"""Groups of test queries that are looked at on their own. Pure.

``SEGMENTS`` are the gate's; ``CELLS`` and ``slices_of`` are for whoever reads a report.
"""

from collections.abc import Mapping
from hashlib import blake2b

import polars as pl

HEAD_SHARE = 0.5
# What learning tends to hurt: the gate also holds these against a score that knows of no engagement
GUARDED = ("new_product", "no_engagement", "rare")
SEGMENTS = ("all", "unseen", "head", "tail", *GUARDED)
RARE_CLIENTS = 1
# Query seen or not x product seen or not in training, by the names of Zhu et al., arXiv 2404.08535.
CELLS = ("in_domain", "novel_query", "novel_product", "zero_shot")
WORDS = ("one_word", "two_words", "more_words")
CATEGORY = "category: "
MAX_CATEGORIES = 6
MAX_QUERIES = 4000


def describe(
    qrels: pl.DataFrame,
    trained: pl.DataFrame,
    categories: Mapping[str, str] | None = None,
    clients: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return one row per test query, sorted by query.

    Columns: query, credit, gains {product: gain} as two lists, and one boolean per segment. ``head``: the
    queries that, by falling credit, hold the first half of all credit; ``tail`` the others. ``unseen``: never
    trained. ``new_product``: the best product has no credit in ``trained``; ``no_engagement``: no relevant
    one has. ``rare``: at most ``RARE_CLIENTS`` of ``clients`` (query, client, credit) ever did something
    after it; none is where nobody knows. ``categories`` (by product id): the greatest ones, by the best
    product of each query, become slices. More than ``MAX_QUERIES`` queries are thinned by a stable hash.
    """
    known = set(trained["product_id"].to_list())
    queries = (
        qrels.sort("query", "gain", "product_id", descending=[False, True, False])
        .group_by("query", maintain_order=True)
        .agg(
            pl.col("credit").sum(),
            pl.col("unseen").first(),
            relevant=pl.col("product_id"),
            gains=pl.col("gain"),
        )
    )
    queries = thin(queries, MAX_QUERIES)
    before = pl.col("credit").cum_sum() - pl.col("credit")
    unseen, new = pl.col("unseen"), pl.col("new_product")
    words = pl.col("query").str.count_matches(r"\S+")
    described = (
        queries.sort("credit", "query", descending=[True, False])
        .with_columns(
            all=pl.lit(value=True),
            head=before < HEAD_SHARE * pl.col("credit").sum(),
            new_product=~pl.col("relevant").list.first().is_in(list(known)),
            no_engagement=~pl.col("relevant").list.eval(pl.element().is_in(list(known))).list.any(),
            rare=~pl.col("query").is_in(_usual(clients)) if clients is not None else pl.lit(value=False),
        )
        .with_columns(tail=~pl.col("head"))
        .with_columns(
            in_domain=~unseen & ~new,
            novel_query=unseen & ~new,
            novel_product=~unseen & new,
            zero_shot=unseen & new,
        )
        .with_columns(one_word=words == 1, two_words=words == 2, more_words=words > 2)
        .sort("query")
    )
    return _with_categories(described, categories or {})


def gains_of(queries: pl.DataFrame) -> list[dict[str, float]]:
    """Return for each row of a described frame the gains of its products."""
    return [dict(zip(*row, strict=True)) for row in queries.select("relevant", "gains").iter_rows()]


def _usual(clients: pl.DataFrame) -> list[str]:
    """Return the queries after which more than ``RARE_CLIENTS`` clients did something."""
    counted = clients.filter(pl.col("credit") > 0).group_by("query").agg(pl.col("client").n_unique())
    return counted.filter(pl.col("client") > RARE_CLIENTS)["query"].to_list()


def slices_of(queries: pl.DataFrame) -> list[str]:
    """Return the names of all segments of a described frame.

    The gate's, the cells, and the slices by words and category.
    """
    return [*SEGMENTS, *CELLS, *WORDS, *(name for name in queries.columns if name.startswith(CATEGORY))]


def _with_categories(queries: pl.DataFrame, categories: Mapping[str, str]) -> pl.DataFrame:
    own = (
        queries["relevant"]
        .list.first()
        .replace_strict(dict(categories), default=None, return_dtype=pl.String)
    )
    counted = (
        own.drop_nulls().value_counts(name="queries").sort("queries", own.name, descending=[True, False])
    )
    greatest = [name for name in counted[own.name].to_list() if name][:MAX_CATEGORIES]
    return queries.with_columns(
        (own == name).fill_null(value=False).alias(CATEGORY + name) for name in greatest
    )


def thin(queries: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return at most ``most`` rows by a stable hash of the column ``query``; those of one query in order."""
    if queries.height <= most:
        return queries
    hashed = pl.col("query").map_elements(_stable, return_dtype=pl.UInt64)
    return queries.sort(hashed, maintain_order=True).head(most)


def _stable(query: str) -> int:
    return int.from_bytes(blake2b(query.encode(), digest_size=8).digest())

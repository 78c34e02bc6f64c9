"""Which trained pairs a candidate's greatest changes of rank came by.

What a person looks at first where poison is feared. Pure.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

import polars as pl
from pydantic import BaseModel, ConfigDict

DEPTH = 10
DOUBTFUL = 0.5
KEYS = ("query", "product_id")
# Beside the evaluation; forgetting a shopper rewrites it like every file of a run
FILE = "rank_changes.parquet"
_SCHEMA = pl.Schema(
    {
        "query": pl.String,
        "product_id": pl.String,
        "before": pl.Int64,
        "after": pl.Int64,
        "credit": pl.Float64,
        "clients": pl.Int64,
        "believed": pl.Float64,
    }
)


def digest_of(query: str) -> str:
    """Return what stands for a query where a shopper's words may not be kept for ever.

    12 hexadecimal digits of its SHA-256.
    """
    return sha256(query.encode()).hexdigest()[:12]


class RankChange(BaseModel):
    """A product that the candidate ranks higher than live for a query by which it was trained.

    Rank 11: not among the first ten. ``credit``: what the pair is trained by. ``clients``: as many as the
    pair still names. ``believed``: the share of its credit that ``trust`` lets count.
    """

    model_config = ConfigDict(frozen=True)

    query: str
    product_id: str
    before: int
    after: int
    credit: float
    clients: int
    believed: float

    @property
    def doubtful(self) -> bool:
        """Whether less than half of the pair's credit is believed."""
        return self.believed < DOUBTFUL


def doubtful_first(changes: Sequence[RankChange]) -> list[RankChange]:
    """Return the changes, the doubtful ones before the others, otherwise in their order."""
    return sorted(changes, key=lambda change: not change.doubtful)


def rank_changes(
    queries: Sequence[str],
    before: Sequence[Sequence[str]],
    after: Sequence[Sequence[str]],
    *,
    weighted: pl.DataFrame,
    clients: pl.DataFrame,
    trusted: pl.DataFrame,
) -> list[RankChange]:
    """Return the products that rank higher than before for a query that taught them: the greatest rise first.

    ``before`` and ``after``: the first ten of live and candidate, in the order of ``queries``; what is not
    among ten was eleventh. Of equal rises the one whose clients are believed least comes first, then the
    greatest credit, then by text. ``weighted``: the trained pairs with their credit; ``clients``: the
    snapshot's, of all days; ``trusted``: what ``trust`` believes of each pair.
    """
    columns = {"query": pl.String, "product_id": pl.String, "before": pl.Int64, "after": pl.Int64}
    rows = pl.DataFrame(list(_rises(queries, before, after)), schema=columns, orient="row")
    counted = clients.filter(pl.col("credit") > 0).group_by(*KEYS).agg(clients=pl.len())
    found = (
        rows.join(weighted.select(*KEYS, "credit"), on=KEYS)
        .join(counted, on=KEYS, how="left")
        .join(trusted, on=KEYS, how="left")
        .with_columns(
            pl.col("clients").fill_null(0),
            pl.col("believed").fill_null(1.0),
            rise=pl.col("before") - pl.col("after"),
        )
        .sort("rise", "believed", "credit", *KEYS, descending=[True, False, True, False, False])
    )
    return [RankChange.model_validate(row) for row in found.drop("rise").iter_rows(named=True)]


def frame_of(changes: Sequence[RankChange]) -> pl.DataFrame:
    """Return the changes as one row each, in their order."""
    return pl.DataFrame([change.model_dump() for change in changes], schema=_SCHEMA)


def _rises(
    queries: Sequence[str], before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]
) -> Iterable[tuple[str, str, int, int]]:
    for query, old, new in zip(queries, before, after, strict=True):
        ranks = {product: rank for rank, product in enumerate(old[:DEPTH], 1)}
        for rank, product in enumerate(new[:DEPTH], 1):
            was = ranks.get(product, DEPTH + 1)
            if rank < was:
                yield query, product, was, rank

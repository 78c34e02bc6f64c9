"""What the gate must know of the data of a run.

How much there is, who holds it, and how far the test is from what is trained. Pure.
"""

from typing import Any

import numpy as np
import polars as pl

from schemas.events import Action
from schemas.pairs import SINGLE_DAYS
from trainer.data.snapshot import Snapshot
from trainer.gate.evidence import DataFacts

_TAKEN_BACK = (Action.REFUND.value, Action.REMOVE_FROM_CART.value)


def facts_of(snapshot: Snapshot, *, cut_day: int, received: int | None, refused: int | None) -> DataFacts:
    """Return the facts of a snapshot whose days from ``cut_day`` on are the test. Empty frames give zeros."""
    positive = snapshot.clients.filter(pl.col("credit") > 0)
    by_client = positive.group_by("client").agg(pl.col("credit").sum())["credit"]
    earned = snapshot.pairs.filter(~pl.col("action").is_in(_TAKEN_BACK), pl.col("credit") > 0)
    before, test = earned.filter(pl.col("day") < cut_day), earned.filter(pl.col("day") >= cut_day)
    by_query = test.group_by("query").agg(pl.col("credit").sum())["credit"]
    return DataFacts(
        pairs=earned.select("query", "product_id").n_unique() if earned.height else 0,
        clients=by_client.len(),
        client_share=_share(by_client),
        query_share=_share(by_query),
        received=received,
        refused=refused,
        category_shift=_category_shift(before, test, snapshot.catalog),
        length_shift=_length_shift(before, test),
        # what is older may be a sum of many days
        volume_ratio=_volume_ratio(before.filter(pl.col("day") >= cut_day - SINGLE_DAYS), test),
    )


def leading_clients(clients: pl.DataFrame, queries: pl.DataFrame) -> list[str]:
    """Return for each query the client with more than half of its credit, "" where there is none.

    In the order of ``queries``.
    """
    positive = clients.filter(pl.col("credit") > 0)
    by_client = positive.group_by("query", "client").agg(pl.col("credit").sum())
    leading = (
        by_client.with_columns(share=pl.col("credit") / pl.col("credit").sum().over("query"))
        .filter(pl.col("share") > 1 / 2)
        .select("query", "client")
    )
    return (
        queries.select("query")
        .join(leading, on="query", how="left", maintain_order="left")["client"]
        .fill_null("")
        .to_list()
    )


def _share(credit: pl.Series) -> float:
    total = float(credit.sum() or 0)
    return float(np.max(credit.to_numpy())) / total if total > 0 else 0.0


def _category_shift(before: pl.DataFrame, test: pl.DataFrame, catalog: pl.DataFrame) -> float | None:
    if "category" not in catalog.columns or before.is_empty() or test.is_empty():
        return None
    category = catalog.select("product_id", "category")
    shares = [_distribution(frame.join(category, on="product_id"), "category") for frame in (before, test)]
    return max(
        (abs(shares[0].get(name, 0.0) - shares[1].get(name, 0.0)) for name in {*shares[0], *shares[1]}),
        default=0.0,
    )


def _length_shift(before: pl.DataFrame, test: pl.DataFrame) -> float | None:
    if before.is_empty() or test.is_empty():
        return None
    words = pl.col("query").str.count_matches(r"\S+").clip(upper_bound=10)
    first, second = (_distribution(frame.with_columns(words=words), "words") for frame in (before, test))
    names = sorted({*first, *second})
    p, q = (np.array([shares.get(name, 0.0) for name in names]) for shares in (first, second))
    middle = (p + q) / 2
    divergence = sum(0.5 * float(np.sum(x[x > 0] * np.log2(x[x > 0] / middle[x > 0]))) for x in (p, q))
    return float(np.sqrt(max(0.0, divergence)))


def _volume_ratio(before: pl.DataFrame, test: pl.DataFrame) -> float | None:
    if before.is_empty() or test.is_empty():
        return None
    daily = [float(frame["credit"].sum()) / frame["day"].n_unique() for frame in (before, test)]
    return daily[1] / daily[0]


def _distribution(frame: pl.DataFrame, name: str) -> dict[Any, float]:
    counted = frame.group_by(name).agg(pl.col("credit").sum())
    total = float(counted["credit"].sum() or 0)
    return (
        {key: credit / total for key, credit in counted.select(name, "credit").iter_rows()} if total else {}
    )

"""What a pair weighs in training. Pure.

A weight follows from the credit, decayed by age and limited per client, by one of few maps; mean 1 over the
pairs. Knows no texts and no models.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np
import polars as pl

from schemas.settings import TrainerSettings, WeightMap
from trainer.data.popularity import Popularity
from trainer.data.trust import believed

# Beyond it more of the same teaches nothing: sampling or weighing by raw counts hurt unseen queries
MAX_CREDIT = 64.0
MIN_SHARE = 0.05


@dataclass(frozen=True)
class Weighting:
    """How credit becomes a weight.

    What engagement is worth, how fast it ages, what one client and newcomers count for, and the map. A pair
    with fewer than ``min_clients`` distinct clients is left out. What one client has above
    ``max_client_share`` of a pair is taken off its credit, and so is what ``trust`` does not believe of
    newcomers (``newcomer_deviations`` 0: all is believed).
    """

    worth: Popularity
    half_life_days: float
    min_clients: int
    max_client_share: float
    weight_map: WeightMap
    newcomer_deviations: float

    @classmethod
    def of(cls, settings: TrainerSettings) -> Self:
        """Take what the settings say."""
        return cls(
            worth=Popularity.of(settings),
            half_life_days=settings.half_life / timedelta(days=1),
            min_clients=settings.min_clients,
            max_client_share=settings.max_client_share,
            weight_map=settings.weight_map,
            newcomer_deviations=settings.newcomer_deviations,
        )

    @classmethod
    def as_counted(cls, worth: Popularity, weight_map: WeightMap, *, half_life_days: float) -> Self:
        """Limit no client and believe all: for pairs whose clients nobody knows."""
        return cls(
            worth,
            half_life_days,
            min_clients=1,
            max_client_share=1.0,
            weight_map=weight_map,
            newcomer_deviations=0.0,
        )


def weigh(
    train: pl.DataFrame, clients: pl.DataFrame, weighting: Weighting, *, newest_day: int
) -> pl.DataFrame:
    """Return one row per pair, sorted: query, product_id, credit (> 0), last_day, weight (mean 1).

    Age is counted in days back from ``newest_day``. Pairs whose reversals outweigh the rest are left out.
    Empty in, empty out.
    """
    decay = (-(newest_day - pl.col("day")) / weighting.half_life_days * np.log(2)).exp()
    summed = weighting.worth.credits_by_pair(train, factor=decay).join(
        _client_share(clients), on=["query", "product_id"], how="left", maintain_order="left"
    )
    trusted = believed(clients, deviations=weighting.newcomer_deviations)
    summed = summed.join(trusted, on=["query", "product_id"], how="left", maintain_order="left")
    summed = summed.with_columns(credit=pl.col("credit") * pl.col("believed").fill_null(1.0))
    over = (pl.col("top_share").fill_null(0.0) - weighting.max_client_share).clip(lower_bound=0.0)
    return (
        summed.filter(
            pl.col("clients").fill_null(0) >= weighting.min_clients
            if weighting.min_clients > 1
            else pl.lit(value=True)
        )
        .with_columns(credit=pl.col("credit") * (1 - over))
        .filter(pl.col("credit") > 0)
        .with_columns(weight=_MAPS[weighting.weight_map])
        .with_columns(weight=pl.col("weight") / pl.col("weight").mean())
        .select("query", "product_id", "credit", "last_day", "weight")
    )


# Score-to-weight maps, after Zhu et al., arXiv 2404.08535: of the credit itself, of its share within the
# query, of its rank there.
_RANK = pl.col("credit").rank("min", descending=True).over("query").cast(pl.Float64)
_MAPS: dict[WeightMap, pl.Expr] = {
    "log": (1 + pl.col("credit").clip(upper_bound=MAX_CREDIT)).log(2),
    "linear": (pl.col("credit") / pl.col("credit").max().over("query")).clip(lower_bound=MIN_SHARE),
    "inverse": 1 / _RANK,
    "inverse_sqrt": 1 / _RANK.sqrt(),
    "constant": pl.lit(1.0),
}


def log_popularity(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return product_id and log_popularity.

    The log of its share of all ``credit``, one credit added to each so that none is zero. Sorted by product.
    It is what logQ takes off the scores, from the stream's own decayed counts.
    """
    totals = pairs.group_by("product_id").agg(count=pl.col("credit").sum() + 1).sort("product_id")
    return totals.select("product_id", log_popularity=(pl.col("count") / pl.col("count").sum()).log())


def _client_share(clients: pl.DataFrame) -> pl.DataFrame:
    positive = clients.filter(pl.col("credit") > 0)
    return positive.group_by("query", "product_id").agg(
        clients=pl.len(), top_share=pl.col("credit").max() / pl.col("credit").sum()
    )


def shuffle_labels(pairs: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the pairs with their products permuted among them.

    Nothing can be learnt from it, which the gate must see. Two pairs that become equal are kept once.
    """
    order = np.random.default_rng(seed).permutation(pairs.height)
    shuffled = pairs.with_columns(product_id=pairs["product_id"].gather(order))
    return shuffled.unique(["query", "product_id"], keep="first").sort("query", "product_id")

"""What a pair weighs in training, and in which order pairs are seen. Pure: the same seed gives the same batches.

A weight is log2(1 + credit), credit decayed by age and limited per client, mean 1 over the pairs. Knows no texts and no models.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.events import Action
from schemas.settings import TrainerSettings

MAX_CREDIT = 64.0  # beyond it more of the same teaches nothing: sampling or weighing by raw counts hurt unseen queries

Rows = npt.NDArray[np.int64]


def worth_of(settings: TrainerSettings) -> dict[str, float]:
    """Return what one credit of an action counts. Reversals carry negative credits, at the worth of what they reverse."""
    return {
        Action.CLICK: settings.weight_click,
        Action.VIEW: settings.weight_view,
        Action.ADD_TO_CART: settings.weight_add_to_cart,
        Action.REMOVE_FROM_CART: settings.weight_add_to_cart,
        Action.PURCHASE: settings.weight_purchase,
        Action.REFUND: settings.weight_purchase,
    }


def weigh(
    train: pl.DataFrame,
    clients: pl.DataFrame,
    *,
    newest_day: int,
    half_life_days: float,
    worth: Mapping[str, float],
    min_clients: int,
    max_client_share: float,
) -> pl.DataFrame:
    """Return one row per pair, sorted: query, product_id, credit (> 0), last_day, weight (mean 1).

    A pair with fewer than ``min_clients`` distinct clients is left out. What one client has above ``max_client_share`` of a pair is taken
    off its credit. Pairs whose reversals outweigh the rest are left out. Empty in, empty out.
    """
    value = pl.col("action").replace_strict(dict(worth), default=0.0, return_dtype=pl.Float64) * pl.col("credit") / 1000
    decay = (-(newest_day - pl.col("day")) / half_life_days * np.log(2)).exp()
    summed = (
        train.sort("query", "product_id", "day", "action")
        .group_by("query", "product_id", maintain_order=True)
        .agg(credit=(value * decay).sum(), last_day=pl.col("day").max())
        .join(_client_share(clients), on=["query", "product_id"], how="left", maintain_order="left")
    )
    over = (pl.col("top_share").fill_null(0.0) - max_client_share).clip(lower_bound=0.0)
    return (
        summed.filter(pl.col("clients").fill_null(0) >= min_clients if min_clients > 1 else pl.lit(value=True))
        .with_columns(credit=pl.col("credit") * (1 - over))
        .filter(pl.col("credit") > 0)
        .with_columns(weight=(1 + pl.col("credit").clip(upper_bound=MAX_CREDIT)).log(2))
        .with_columns(weight=pl.col("weight") / pl.col("weight").mean())
        .select("query", "product_id", "credit", "last_day", "weight")
    )


def _client_share(clients: pl.DataFrame) -> pl.DataFrame:
    positive = clients.filter(pl.col("credit") > 0)
    return positive.group_by("query", "product_id").agg(clients=pl.len(), top_share=pl.col("credit").max() / pl.col("credit").sum())


def shuffle_labels(pairs: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the pairs with their products permuted among them: nothing can be learnt from it, which the gate must see.

    Two pairs that become equal are kept once.
    """
    order = np.random.default_rng(seed).permutation(pairs.height)
    shuffled = pairs.with_columns(product_id=pairs["product_id"].gather(order))
    return shuffled.unique(["query", "product_id"], keep="first").sort("query", "product_id")


def batches(new: Rows, old: Rows, *, steps: int, batch_size: int, replay_share: float, seed: int) -> list[Rows]:
    """Return ``steps`` arrays of ``batch_size`` row numbers (fewer when there are fewer rows): new ones, and the replay share of old ones.

    Each kind is passed through in shuffled rounds, so that no row is seen a second time before all were seen once.
    """
    rng = np.random.default_rng(seed)
    size = min(batch_size, len(new) + len(old))
    n_old = min(round(size * replay_share), size) if len(new) and len(old) else (size if len(old) else 0)
    from_new, from_old = _Rounds(new, rng), _Rounds(old, rng)
    return [np.concatenate([from_new.take(size - n_old), from_old.take(n_old)]) for _ in range(steps)]


class _Rounds:
    """Endless shuffled rounds over rows."""

    def __init__(self, rows: Rows, rng: np.random.Generator) -> None:
        self._rows, self._rng = rows, rng
        self._left: Rows = rows[:0]

    def take(self, count: int) -> Rows:
        """Return the next ``count`` rows; within one call a row may repeat only when there are fewer rows than asked."""
        parts: list[Rows] = []
        while count:
            if not len(self._left):
                self._left = self._rng.permutation(self._rows)
            parts.append(self._left[:count])
            self._left = self._left[len(parts[-1]) :]
            count -= len(parts[-1])
        return np.concatenate(parts) if parts else self._rows[:0]

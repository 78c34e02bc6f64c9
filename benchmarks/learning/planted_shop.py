"""A planted shop for weighing.

Queries with relevant products of very different popularity, which their content shows only in part. Purchases
are drawn from the true rates. Two small towers learn from them through the trainer's own loss, weights and
batches, and are scored on queries that they never saw, against the true rates: the order that shoppers want,
and whether what is shown is relevant at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import nn

from schemas.settings import TrainerSettings, WeightMap
from trainer.data.popularity import Popularity
from trainer.data.snapshot import CLIENT_SCHEMA, PAIR_SCHEMA
from trainer.data.weights import Weighting, log_popularity, weigh
from trainer.learning.loss import EngagementLoss, Table
from trainer.learning.sampling import batches

Floats = npt.NDArray[np.float32]
QUERIES, PRODUCTS, RELEVANT, LATENT = 500, 800, 25, 12
UNSEEN_SHARE = 0.2
SPREAD = 1.2  # of log popularity
NOISE = 0.8  # of what the content shows of it
STEPS, BATCH = 500, 256
_DAY = 1
SETTINGS = TrainerSettings()


@dataclass(frozen=True)
class Variant:
    """How the same purchases are learnt: by weights, or by repeating each pair as often as it was bought."""

    weight_map: WeightMap = "constant"
    beta: float = 0.0
    repeated: bool = False


@dataclass(frozen=True)
class Planted:
    """``queries`` (q, latent) and ``products`` (p, latent + 1) are what the towers see.

    ``rates`` (q, p) the truth, 0 where irrelevant.
    """

    queries: Floats
    products: Floats
    rates: Floats
    purchases: npt.NDArray[np.int64]
    unseen: npt.NDArray[np.int64]

    @classmethod
    def of(cls, seed: int) -> Self:
        """Draw a shop."""
        rng = np.random.default_rng(seed)
        products, queries = (_unit(rng.normal(size=(count, LATENT))) for count in (PRODUCTS, QUERIES))
        popularity = rng.normal(size=PRODUCTS) * SPREAD
        relevant = np.argsort(-(queries @ products.T), axis=1)[:, :RELEVANT]
        rates = np.zeros((QUERIES, PRODUCTS), dtype=np.float32)
        np.put_along_axis(rates, relevant, np.exp(popularity)[relevant].astype(np.float32), axis=1)
        shown = popularity / SPREAD + NOISE * rng.normal(size=PRODUCTS)
        seen = np.concatenate([products, 0.3 * shown[:, None]], axis=1)
        unseen = np.sort(rng.permutation(QUERIES)[: round(QUERIES * UNSEEN_SHARE)])
        return cls(queries.astype(np.float32), seen.astype(np.float32), rates, rng.poisson(2 * rates), unseen)

    def pairs(self) -> pl.DataFrame:
        """Return the purchases of the seen queries as the stream counts them."""
        seen = np.setdiff1d(np.arange(QUERIES), self.unseen)
        query, product = np.nonzero(self.purchases[seen])
        count = self.purchases[seen][query, product]
        return pl.DataFrame(
            {
                "query": [f"q{seen[i]:04}" for i in query],
                "product_id": [f"p{i:04}" for i in product],
                "day": _DAY,
                "action": "purchase",
                "credit": count * 1000,
                "units": count,
                "revenue_minor": 0,
            },
            schema=PAIR_SCHEMA,
        )


def learn(shop: Planted, variant: Variant, seed: int) -> dict[str, float]:
    """Train two towers.

    Return over the unseen queries graded nDCG@10, precision@10 (relevant at all), and the share of purchases.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    pairs = weigh(
        shop.pairs(),
        pl.DataFrame(schema=CLIENT_SCHEMA),
        Weighting.as_counted(Popularity.of(SETTINGS), variant.weight_map, half_life_days=1.0),
        newest_day=_DAY,
    )
    query, product = (
        torch.tensor([int(text[1:]) for text in pairs[name]]) for name in ("query", "product_id")
    )
    rows = (
        np.repeat(np.arange(pairs.height), pairs["credit"].round().cast(pl.Int64))
        if variant.repeated
        else np.arange(pairs.height)
    )
    loss = EngagementLoss(
        None,
        Table(
            query,
            product,
            torch.tensor(pairs["weight"].to_list()),
            torch.stack([query, product], dim=1),
            _log_popularity(pairs),
        ),
        scale=SETTINGS.scale,
        beta=variant.beta,
    )
    left, right = _tower(LATENT), _tower(LATENT + 1)
    queries, products = torch.from_numpy(shop.queries), torch.from_numpy(shop.products)
    optimiser = torch.optim.Adam([*left.parameters(), *right.parameters()], lr=3e-3)
    for drawn in batches(rows, rows[:0], steps=STEPS, batch_size=BATCH, replay_share=0.0, seed=seed):
        batch = torch.from_numpy(drawn)
        optimiser.zero_grad()
        loss.of_vectors(batch, left(queries[query[batch]]), right(products[product[batch]])).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        vectors = (
            nn.functional.normalize(x, dim=-1).numpy() for x in (left(queries[shop.unseen]), right(products))
        )
        scores = next(vectors) @ next(vectors).T
    return _score(scores, shop.rates[shop.unseen])


def _score(scores: Floats, rates: Floats) -> dict[str, float]:
    discount = 1 / np.log2(np.arange(10) + 2)
    found = np.take_along_axis(rates, np.argsort(-scores, axis=1)[:, :10], axis=1)
    ideal = -np.sort(-rates, axis=1)[:, :10]
    return {
        "ndcg10": float((found @ discount / (ideal @ discount)).mean()),
        "precision10": float((found > 0).mean()),
        "purchases10": float((found.sum(axis=1) / rates.sum(axis=1)).mean()),
    }


def averaged(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over the runs."""
    return {metric: round(float(np.mean([run[metric] for run in runs])), 4) for metric in runs[0]}


def _log_popularity(pairs: pl.DataFrame) -> torch.Tensor:
    known = log_popularity(pairs)
    out = torch.full((PRODUCTS,), float(known["log_popularity"].to_numpy().min()))
    out[[int(text[1:]) for text in known["product_id"]]] = torch.tensor(
        known["log_popularity"].to_list(), dtype=torch.float32
    )
    return out


def _tower(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 32))


def _unit(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    unit: npt.NDArray[np.float64] = values / np.linalg.norm(values, axis=1, keepdims=True)
    return unit

"""Planted candidates: rank-level perturbations of a real model's results on the pool of real test queries.

A candidate is the live model's first fifty with noise on the ranks and a bonus for relevant products; the
bonus is solved for, so that the true mean difference over the whole pool is the one asked for. Noise is
scaled to the spread of really trained candidates. A case then draws its queries from the pool with
replacement, as a shop's next test week would.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.verdicts.trained_shop import ShopData
from retrieval.encoder import Encoder
from trainer.evaluation.rankers import (
    DEPTH,
    Embedded,
    EvaluationCatalog,
    bm25,
    dense,
    popularity,
    words_of_catalog,
)
from trainer.evaluation.ranking_metrics import RANKING_METRICS
from trainer.evaluation.segments import CATEGORY, SEGMENTS, describe, gains_of
from trainer.gate.data_facts import leading_clients
from trainer.gate.evidence import Bools

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DISCOUNT = 1 / np.log2(np.arange(2, 12))


@dataclass(frozen=True)
class Results:
    """What each query of the pool gives.

    These are ndcg10, whether the best product is in the first ten, the first ten (numbers, -1: none), and by
    name the further metrics that may veto.
    """

    ndcg10: Floats
    best: Bools
    top: Ints
    further: Mapping[str, Floats]

    def take(self, rows: Ints) -> "Results":
        """Return the results of these rows."""
        further = {name: values[rows] for name, values in self.further.items()}
        return Results(self.ndcg10[rows], self.best[rows], self.top[rows], further)


@dataclass(frozen=True)
class Pool:
    """All test queries.

    ``judged`` are the gains of each query by product, ``gains`` (queries, 50) those of the ranked
    ``products`` (numbers, -1: none), ``ideal`` the best nDCG sum.
    """

    queries: pl.DataFrame
    products: Ints
    gains: Floats
    ideal: Floats
    greatest: Floats
    judged: list[dict[str, float]]
    categories: npt.NDArray[np.str_]
    clients: npt.NDArray[np.str_]
    segments: dict[str, Bools]
    known: frozenset[int]
    size: int
    catalog: EvaluationCatalog

    @classmethod
    def of(cls, ground: ShopData, live: Encoder) -> Self:
        """Rank the whole catalogue for every test query with the live model."""
        catalog = EvaluationCatalog.of(ground.snapshot.catalog)
        queries = describe(ground.qrels, ground.weighted, catalog.categories, ground.snapshot.clients)
        ranked = dense(Embedded.of(live, queries["query"].to_list(), catalog), catalog)
        number = {product: i for i, product in enumerate(catalog.ids)}
        judged = gains_of(queries)
        best = [sorted(gains.values(), reverse=True) for gains in judged]
        products, gains = _matrices(ranked, judged, number)
        return cls(
            queries, products, gains,
            ideal=np.array([float(np.dot(b[:10], DISCOUNT[: len(b[:10])])) for b in best]),
            greatest=np.array([b[0] for b in best]),
            judged=judged,
            categories=np.array([catalog.categories[r[0]] for r in queries["relevant"].to_list()]),
            clients=np.array(leading_clients(ground.snapshot.clients, queries)),
            segments={n: queries[n].to_numpy() for n in [*SEGMENTS,
                *(c for c in queries.columns if c.startswith(CATEGORY))]},
            known=frozenset(number[p] for p in ground.weighted["product_id"].unique().to_list()),
            size=len(catalog.ids), catalog=catalog,
        )  # fmt: skip

    def rank(self, ranked: list[list[str]]) -> Results:
        """Score the rankings of another real system."""
        number = {product: i for i, product in enumerate(self.catalog.ids)}
        return self.score(*_matrices(ranked, self.judged, number))

    def bm25(self) -> Results:
        """Score BM25."""
        return self.rank(bm25(words_of_catalog(self.catalog, "english"), self.queries["query"].to_list()))

    def popularity(self, ground: ShopData) -> Results:
        """Score popularity."""
        return self.rank(popularity(self.queries["query"].to_list(), self.catalog, ground.weighted))

    def dense(self, encoder: Encoder) -> Results:
        """Score another model."""
        return self.rank(
            dense(Embedded.of(encoder, self.queries["query"].to_list(), self.catalog), self.catalog)
        )

    def score(self, products: Ints, gains: Floats) -> Results:
        """Return the metrics of rankings (queries, 50)."""
        first = gains[:, :10]
        names = np.array([*self.catalog.ids, ""], dtype=object)  # the last: none
        ranked = names[products].tolist()
        return Results(
            ndcg10=first @ DISCOUNT / self.ideal,
            best=np.asarray((first >= self.greatest[:, None]).any(axis=1)),
            top=products[:, :10],
            further={
                metric.name: np.array([metric.of(*row) for row in zip(ranked, self.judged, strict=True)])
                for metric in RANKING_METRICS
                if metric.vetoes
            },
        )

    def perturbed(self, noise: Floats, bonus: float | Floats) -> Results:
        """Return the live ranking with ``noise`` (queries, 50) on the log of the rank, and a bonus.

        The bonus is for gains, one or one per query.
        """
        score = (
            -np.log2(np.arange(2, DEPTH + 2))
            + noise
            + np.atleast_1d(bonus)[:, None] * self.gains / self.greatest[:, None]
        )
        score = np.where(self.products < 0, -np.inf, score)
        order = np.argsort(-score, axis=1, kind="stable")
        return self.score(
            np.take_along_axis(self.products, order, 1), np.take_along_axis(self.gains, order, 1)
        )

    def solved(self, noise: Floats, wanted: float, base: Floats, rows: Bools | None = None) -> float:
        """Return the bonus with which the mean of nDCG@10 less ``base`` is ``wanted``.

        Over the rows of the pool, to 1e-4 where it can be. By false position (Illinois), for the mean rises
        with the bonus.
        """
        noised = (-np.log2(np.arange(2, DEPTH + 2)) + noise).astype(np.float32)
        noised[self.products < 0] = -np.inf
        share = (self.gains / self.greatest[:, None]).astype(np.float32)
        used = slice(None) if rows is None else rows

        def off(bonus: float) -> float:
            score = noised[used] + np.float32(bonus) * share[used]
            first = np.argpartition(-score, 10, axis=1)[:, :10]
            order = np.argsort(-np.take_along_axis(score, first, 1), axis=1, kind="stable")
            gains = np.take_along_axis(self.gains[used], np.take_along_axis(first, order, 1), 1)
            return float((gains @ DISCOUNT / self.ideal[used] - base[used]).mean()) - wanted

        low, high = -4.0, 4.0
        at_low, at_high = off(low), off(high)
        if at_low >= 0 or at_high <= 0:
            return low if at_low >= 0 else high
        side = 0
        for _ in range(12):
            middle = (low * at_high - high * at_low) / (at_high - at_low)
            found = off(middle)
            if abs(found) < 1e-4:
                return middle
            if found < 0:
                low, at_low = middle, found
                at_high /= 2 if side < 0 else 1
                side = -1
            else:
                high, at_high = middle, found
                at_low /= 2 if side > 0 else 1
                side = 1
        return (low + high) / 2

    def with_new(self, rng: np.random.Generator, share: float) -> Self:
        """Return the pool as it were if this share of all products had been without engagement."""
        new = {self.catalog.ids[i] for i in np.flatnonzero(rng.random(self.size) < share)}
        wanted = [[product in new for product in own] for own in self.queries["relevant"].to_list()]
        groups = {"new_product": [own[0] for own in wanted], "no_engagement": [all(own) for own in wanted]}
        masks = {name: np.array(found, dtype=bool) for name, found in groups.items()}
        known = frozenset(i for i in self.known if self.catalog.ids[i] not in new)
        return replace(self, known=known, segments={**self.segments, **masks})

    def noise(self, rng: np.random.Generator, sigma: float) -> Floats:
        """Draw noise for every query and rank."""
        return rng.normal(0, sigma, self.products.shape)

    def spread(self, rng: np.random.Generator, wanted: float, live: Results, gain: float) -> float:
        """Return the noise at which the standard deviation of the differences is ``wanted``.

        For a candidate that is better by ``gain``.
        """
        low, high = 0.0, 4.0
        drawn = self.noise(rng, 1.0)
        for _ in range(10):
            middle = (low + high) / 2
            noise = drawn * middle
            change = self.perturbed(noise, self.solved(noise, gain, live.ndcg10)).ndcg10 - live.ndcg10
            low, high = (middle, high) if change.std() < wanted else (low, middle)
        return (low + high) / 2


def _matrices(
    ranked: list[list[str]], judged: list[dict[str, float]], number: dict[str, int]
) -> tuple[Ints, Floats]:
    products = np.full((len(ranked), DEPTH), -1, dtype=np.int64)
    gains = np.zeros((len(ranked), DEPTH))
    for row, (shown, own) in enumerate(zip(ranked, judged, strict=True)):
        products[row, : len(shown)] = [number[p] for p in shown]
        gains[row, : len(shown)] = [own.get(p, 0.0) for p in shown]
    return products, gains

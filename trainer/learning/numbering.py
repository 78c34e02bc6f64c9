"""Pairs, products and validation queries by number, so that tensors can speak of them.

Pure; knows no model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from trainer.learning.sampling import Rows
from trainer.learning.twins import as_one

MAX_VALIDATION = 300
MAX_OTHERS = 1000


@dataclass(frozen=True)
class Numbers:
    """Text numbers are the queries 0..q-1, then the validation queries, then the products.

    Everything else is by its own number from 0.
    """

    queries: list[str]
    products: list[str]
    query: Rows
    product: Rows
    weight: npt.NDArray[np.float32]
    known: Rows  # (m, 2): query and product
    log_popularity: npt.NDArray[np.float64]  # of each product
    validation: list[str] = field(default_factory=list)
    gains: list[dict[int, float]] = field(default_factory=list)  # of each validation query, by product

    @classmethod
    def of(
        cls,
        pairs: pl.DataFrame,
        known: pl.DataFrame,
        inner: pl.DataFrame | None = None,
        twins: Mapping[str, str] = MappingProxyType({}),
    ) -> Self:
        """Number the pairs, all known engagement, and validation queries.

        Pairs are (query, product_id, weight), validation queries (query, product_id, gain). At most
        ``MAX_VALIDATION`` validation queries are taken, evenly over their sorted order. ``twins``: the
        product that stands for another one of the same text; what is known of either is known of it, its
        popularity is that of all, its gain the best one's.
        """
        popularity = _known_popularity(known, twins)
        pairs, known = as_one(pairs, twins), as_one(known, twins)
        judged = [] if inner is None else _validation_queries(as_one(inner, twins))
        queries = sorted(set(pairs["query"].to_list()))
        engaged = {*pairs["product_id"].to_list(), *known["product_id"].to_list()}
        products = sorted(engaged | {product for _, ids, _ in judged for product in ids})
        q_of, p_of = {q: i for i, q in enumerate(queries)}, {p: i for i, p in enumerate(products)}
        both = [(q_of[q], p_of[p]) for q, p in known.select("query", "product_id").iter_rows() if q in q_of]
        query = np.array([q_of[q] for q in pairs["query"]], dtype=np.int64)
        product = np.array([p_of[p] for p in pairs["product_id"]], dtype=np.int64)
        return cls(
            queries,
            products,
            query,
            product,
            pairs["weight"].to_numpy().astype(np.float32),
            np.concatenate(
                [np.array(both, dtype=np.int64).reshape(-1, 2), np.stack([query, product], axis=1)]
            ),
            _log_popularity(popularity, product, p_of),
            [q for q, _, _ in judged],
            [{p_of[p]: gain for p, gain in zip(ids, gains, strict=True)} for _, ids, gains in judged],
        )

    @property
    def engaged(self) -> Rows:
        """The numbers of the products that have engagement, ascending.

        Hard negatives come from these alone.
        """
        return np.unique(self.known[:, 1])

    def texts(self, documents: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Return the texts of all queries (validation last) and of all products."""
        return [*self.queries, *self.validation], [documents[p] for p in self.products]

    def product_texts(self, products: Rows) -> Rows:
        """Return the text numbers of products."""
        return len(self.queries) + len(self.validation) + products

    def contenders(self) -> Rows:
        """Return the products among which validation queries are ranked.

        All that they want, and at most ``MAX_OTHERS`` more, evenly.
        """
        wanted = sorted({product for own in self.gains for product in own})
        others = np.setdiff1d(np.arange(len(self.products)), wanted)
        return np.union1d(wanted, others[:: max(1, -(-len(others) // MAX_OTHERS))]).astype(np.int64)

    def validation_texts(self) -> Rows:
        """Return the text numbers of the validation queries."""
        return len(self.queries) + np.arange(len(self.validation))


def _validation_queries(inner: pl.DataFrame) -> list[tuple[str, list[str], list[float]]]:
    """Return each query with its products and their gains: ``MAX_VALIDATION`` at most, evenly spread."""
    judged = (
        inner.group_by("query", "product_id")
        .agg(pl.col("gain").max())
        .sort("query", "product_id")
        .group_by("query", maintain_order=True)
        .agg("product_id", "gain")
        .rows()
    )
    return judged[:: -(-len(judged) // MAX_VALIDATION)] if judged else judged


def _known_popularity(known: pl.DataFrame, twins: Mapping[str, str]) -> dict[str, float]:
    """Return the log popularity of each product that the frame tells it of.

    That of twins is the log of their sum.
    """
    if "log_popularity" not in known.columns:
        return {}
    each = as_one(known.select("product_id", "log_popularity").unique("product_id", keep="last"), twins)
    summed = each.group_by("product_id").agg(pl.col("log_popularity").exp().sum().log())
    return dict(summed.iter_rows())


def _log_popularity(
    known: Mapping[str, float], product: Rows, p_of: Mapping[str, int]
) -> npt.NDArray[np.float64]:
    counts = np.bincount(product, minlength=len(p_of)) + 1.0
    popularity: npt.NDArray[np.float64] = np.log(counts / counts.sum())
    for name, value in known.items():
        popularity[p_of[name]] = value
    return popularity

"""What a shopper wants: a combination of concepts, and how well each product meets it.

Decides relevance, the ground truth of the simulation. It knows no query texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from simulator.assortment import SimProduct

NEAR_GAIN = 0.3
# kinds of concept that an intent names besides or instead of the product type, with their shares
_SHAPES = (
    (("type",), 0.22),
    (("type", "line"), 0.20),
    (("type", "brand"), 0.14),
    (("type", "feature"), 0.18),
    (("type", "colour"), 0.10),
    (("type", "line", "feature"), 0.05),
    (("type", "feature", "colour"), 0.05),
    (("line",), 0.06),
)


@dataclass(frozen=True, slots=True)
class Intent:
    """The concepts that a shopper has in mind, in no order. Never empty."""

    concepts: frozenset[str]


class Relevance:
    """Gains of all products for an intent. Row i of every array is product i of the catalogue."""

    def __init__(self, products: Sequence[SimProduct]) -> None:
        self.products = list(products)
        order = np.array([p.popularity for p in products], dtype=np.float64).argsort().argsort()
        self._quantile = order / max(1, len(products) - 1)
        self._masks: dict[str, NDArray[np.bool_]] = {}
        self._alive: dict[int, NDArray[np.float64]] = {}
        for row, product in enumerate(products):
            for concept in product.concepts:
                self._masks.setdefault(concept, np.zeros(len(products), dtype=bool))[row] = True

    def matches(self, intent: Intent) -> NDArray[np.intp]:
        """Return how many of the intent's concepts each product has, shape (products,)."""
        none = np.zeros(len(self.products), dtype=bool)
        counts: NDArray[np.intp] = np.sum(
            [self._masks.get(c, none) for c in intent.concepts], axis=0, dtype=np.intp
        )
        return counts

    def gains(self, intent: Intent, week: int) -> NDArray[np.float64]:
        """Return each product's gain, shape (products,).

        2 to 3 where all concepts match, more for the more popular; ``NEAR_GAIN`` where the type and all but
        one of several match; else 0. A product that the shop does not sell in ``week`` has 0.
        """
        found, wanted = self.matches(intent), len(intent.concepts)
        gains = np.where(found == wanted, 2.0 + self._quantile, 0.0)
        kind = next((c for c in intent.concepts if c.startswith("type:")), None)
        if wanted > 1 and kind in self._masks:
            gains += np.where((found == wanted - 1) & self._masks[kind], NEAR_GAIN, 0.0)
        if week not in self._alive:
            self._alive[week] = np.array([p.alive_in(week) for p in self.products], dtype=np.float64)
        return gains * self._alive[week]

    def by_id(self, intent: Intent, week: int) -> dict[str, float]:
        """Return the products with a gain, best first; a tie goes to the lower row."""
        gains = self.gains(intent, week)
        rows = [int(r) for r in np.argsort(-gains, kind="stable") if gains[r] > 0]
        return {self.products[r].product_id: round(float(gains[r]), 4) for r in rows}


class Demand:
    """Which intents come up in a week.

    Popularity drifts: every product type has its own random walk over the weeks.
    """

    def __init__(self, products: Sequence[SimProduct], *, seed: int, week: int) -> None:
        self._products = [p for p in products if p.alive_in(week)]
        trend: dict[str, float] = {}
        for step in range(week + 1):
            rng = Random(f"demand:{seed}:{step}")
            for kind in sorted({p.category_path[-1] for p in products}):
                trend[kind] = trend.get(kind, 1.0) * rng.lognormvariate(0, 0.35)
        self._weights = np.cumsum(
            [p.popularity * trend[p.category_path[-1]] for p in self._products]
        ).tolist()

    def draw(self, rng: Random) -> Intent:
        """Draw one intent; at least one product of the week meets it in full."""
        product = rng.choices(self._products, cum_weights=self._weights)[0]
        shape = rng.choices([kinds for kinds, _ in _SHAPES], [share for _, share in _SHAPES])[0]
        return Intent(frozenset(c for c in product.concepts if c.split(":", 1)[0] in shape))

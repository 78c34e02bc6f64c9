"""The search engine that the simulated shop has today.

Word overlap with titles and hand-kept tags, popularity, and luck. Merchandisers tagged about half of the
products with the shoppers' words, so that good products are among those shown, and never all. The tags are
not part of the catalogue that searchloop sees.
"""

import re
from collections.abc import Callable, Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from simulator.assortment import SimProduct
from simulator.lexicon import Lexicon

# query text, week, source of luck -> ids of the products shown, best first
Ranker = Callable[[str, int, np.random.Generator], Sequence[str]]
_TOKEN = re.compile(r"\w+")
_TAGGED = 0.6


class OldEngine:
    """A ``Ranker``. Shows ``shown`` products, or all where the catalogue has fewer."""

    def __init__(self, products: Sequence[SimProduct], lex: Lexicon, *, seed: int, shown: int = 20) -> None:
        self._ids = [p.product_id for p in products]
        self._products = list(products)
        self._shown = min(shown, len(products))
        found: dict[str, NDArray[np.float32]] = {}
        self._alive: dict[int, NDArray[np.bool_]] = {}
        rng = Random(f"tags:{seed}")
        for row, product in enumerate(products):
            texts = [product.title]
            for concept in sorted(product.concepts):
                words = lex.words[concept]
                texts += [
                    word for word in (*words.plain, *(w for w, _ in words.slang)) if rng.random() < _TAGGED
                ]
            for token in {t for text in texts for t in _TOKEN.findall(text.lower())}:
                found.setdefault(token, np.zeros(len(products), dtype=np.float32))[row] = 1
        self._postings = {token: rows * np.log1p(len(products) / rows.sum()) for token, rows in found.items()}
        popularity = np.array([p.popularity for p in products], dtype=np.float32)
        self._prior = 0.35 * np.log1p(popularity)

    def __call__(self, query: str, week: int, luck: np.random.Generator) -> list[str]:
        """Return what the shop shows for ``query``; words it does not know leave popularity and luck."""
        alive = self._alive.get(week)
        if alive is None:
            alive = self._alive[week] = np.array([p.alive_in(week) for p in self._products])
        scores = self._prior + luck.normal(0, 0.6, len(self._ids))
        for token in _TOKEN.findall(query.lower()):
            if (posting := self._postings.get(token)) is not None:
                scores = scores + posting
        scores = np.where(alive, scores, -np.inf)
        return [self._ids[int(r)] for r in np.argsort(-scores, kind="stable")[: self._shown] if alive[r]]

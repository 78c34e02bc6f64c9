"""What a release has found, for whoever decides after its score. It knows no model and no index."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from retrieval.ranking import Vector
from retrieval.traits import Traits
from schemas.search import Filter, ScoredHit


@dataclass(frozen=True)
class Found:
    """Hits per query, rank 1 first.

    ``left_out``: why the further parts of the score could not be computed, and the hits are ranked by cosine
    alone; "" where nothing is missing. ``contenders``: how many of each query's compete, whatever k.
    ``index_ms``: how long the index was waited for, while other sources named their candidates.
    """

    hits: list[list[ScoredHit]]
    left_out: str = ""
    contenders: Sequence[int] = ()
    index_ms: float = 0.0

    def competing(self, place: int) -> set[str]:
        """Return the ids of those that compete for the query at ``place``, as far as they were asked for."""
        return {h.product_id for h in self.hits[place][: self.contenders[place]]}


class Finder(Protocol):
    """As much of a release as finds hits for vectors of its own encoder. See ``release.LoadedRelease``."""

    def find(
        self,
        queries: Sequence[str],
        vectors: Vector,
        k: int,
        filters: Sequence[Filter] = (),
        *,
        timeout_s: float = 5.0,
        every: bool = False,
    ) -> Found:
        """Return at most k hits per query; ``every``: all that compete and the k best."""

    def named(
        self,
        product_ids: Sequence[str],
        vector: Vector,
        filters: Sequence[Filter] = (),
        *,
        timeout_s: float = 5.0,
    ) -> dict[str, ScoredHit]:
        """Return hits of these products, as far as they are there and meet the filters."""

    def traits_of(self, product_ids: Iterable[str]) -> Mapping[str, Traits]:
        """Return the traits of those of the products that are there."""

"""Apply the shop's rules to what a release has found for one query: last, after its score. Blocks.

What rules take away is made up for, so that a page is full, and pages fit together: the order of the first
hits is the same however many are asked for.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retrieval.faults import StoreError
from retrieval.found import Finder, Found
from retrieval.merchandising import Arranged, QueryRules, arranged
from retrieval.ranking import Vector
from retrieval.traits import Traits
from schemas.bounds import OFFSET, K
from schemas.search import Filter, ScoredHit
from searcher.exploring import Draw

SPARE = 20  # hits beyond the page: so many may be hidden or buried before the index is asked again
WIDER = 4  # times as many, when it is
MOST = 4 * (K + OFFSET)


@dataclass(frozen=True)
class Ruled:
    """Hits, rank 1 first. ``left_out``: why some pinned or further ones may be missing; "" where none is."""

    hits: list[ScoredHit]
    left_out: str = ""


@dataclass(frozen=True)
class Ruling:
    """One query and its rules, to be answered by one release before ``end`` (monotonic seconds).

    ``draw``: what gives a new product a place, of an answer that is drawn.
    """

    release: Finder
    rules: QueryRules
    query: str
    vector: Vector
    filters: Sequence[Filter]
    end: float
    draw: Draw | None = None

    def hits(self, found: Found, place: int, asked: int, depth: int) -> Ruled:
        """Return at most ``depth`` hits. ``found`` holds the query at ``place``; ``asked`` were asked for."""
        ranked, contenders = found.hits[place], found.contenders[place]
        named, left_out = self._named(ranked)
        order, unknown = self._arranged(ranked, contenders, named)
        left_out = left_out or unknown
        try:
            while len(order.front) < depth and asked <= len(ranked) and asked < MOST:
                asked = min(MOST, WIDER * asked)
                wider = self.release.find(
                    [self.query],
                    self.vector[None],
                    asked,
                    self.filters,
                    timeout_s=self._left_s(),
                    every=self.rules.boosts or self.draw is not None,
                )
                left_out = left_out or wider.left_out
                if len(wider.hits[0]) <= len(ranked):
                    break
                ranked, contenders = wider.hits[0], wider.contenders[0]
                order, _ = self._arranged(ranked, contenders, named)
        except StoreError as error:
            left_out = left_out or str(error)
        front = self.draw(order.front, found.competing(place)) if self.draw else order.front
        return Ruled(placed([*front, *order.buried], depth), left_out)

    def _arranged(
        self, ranked: Sequence[ScoredHit], contenders: int, named: Mapping[str, ScoredHit]
    ) -> tuple[Arranged, str]:
        """Return the order, and why rules that read traits may not have been applied."""
        traits: Mapping[str, Traits] = {}
        left_out = ""
        if self.rules.reads_traits:
            try:
                traits = self.release.traits_of({h.product_id for h in ranked} | named.keys())
            except StoreError as error:
                left_out = str(error)
        return arranged(self.rules, ranked, contenders, named, traits), left_out

    def _named(self, ranked: Sequence[ScoredHit]) -> tuple[dict[str, ScoredHit], str]:
        there = {h.product_id for h in ranked}
        lacking = [i for i in self.rules.pinned() if i not in there]
        if not lacking:
            return {}, ""
        try:
            found = self.release.named(lacking, self.vector, self.filters, timeout_s=self._left_s())
        except StoreError as error:
            return {}, str(error) or type(error).__name__
        return found, ""

    def _left_s(self) -> float:
        return max(0.1, self.end - time.monotonic())


def placed(ordered: Sequence[ScoredHit], depth: int) -> list[ScoredHit]:
    """Return the first ``depth`` hits with their ranks."""
    return [
        h if h.rank == place else h.model_copy(update={"rank": place})
        for place, h in enumerate(ordered[:depth], start=1)
    ]

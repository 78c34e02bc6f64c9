"""Apply the shop's rules to what a release has found, and what a request asks for besides the score's order.

Last, after the score. Blocks. What rules and groups take away is made up for, so that a page is full, and
pages fit together: the order of the first hits is the same however many are asked for.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retrieval.browsing import facets, in_order, one_per_group, traits_read
from retrieval.faults import StoreError
from retrieval.found import Finder, Found
from retrieval.merchandising import Arranged, QueryRules, allowed, arranged
from retrieval.ranking import Vector
from retrieval.traits import Traits
from schemas.bounds import FACETED, OFFSET, K
from schemas.search import Facet, ScoredHit, SearchRequest
from searcher.exploring import Draw

SPARE = 20  # hits beyond the page: so many may be hidden or buried before the index is asked again
WIDER = 4  # times as many, when it is
MOST = 4 * (K + OFFSET)


@dataclass(frozen=True)
class _Order:
    """Hits in their order: what stands in front, and what was buried; and the facets."""

    front: list[ScoredHit]
    buried: list[ScoredHit]
    facets: list[Facet]


@dataclass(frozen=True)
class Ruled:
    """Hits, rank 1 first, and the facets that were asked for.

    ``left_out``: why some pinned or further ones may be missing; "" where none is.
    """

    hits: list[ScoredHit]
    left_out: str = ""
    facets: Sequence[Facet] = ()


@dataclass(frozen=True)
class Ruling:
    """One request and the rules for its query, to be answered by one release before ``end``.

    That is in monotonic seconds. ``draw``: what gives a new product a place, of an answer that is drawn.
    """

    release: Finder
    rules: QueryRules
    request: SearchRequest
    vector: Vector
    end: float
    draw: Draw | None = None

    def depth(self, asked: int) -> int:
        """Return how many hits must be found, where ``asked`` are shown."""
        return max(asked + SPARE, FACETED if self.request.facets else 0)

    @property
    def every(self) -> bool:
        """Whether all that compete must be looked at."""
        request = self.request
        return bool(self.rules.boosts or self.draw is not None or request.sort)

    def hits(self, found: Found, place: int, asked: int, depth: int) -> Ruled:
        """Return at most ``depth`` hits. ``found`` holds the query at ``place``; ``asked`` were asked for."""
        ranked, contenders = found.hits[place], found.contenders[place]
        named, left_out = ({}, "") if self.request.sort else self._named(ranked)
        order, unknown = self._arranged(ranked, contenders, named)
        left_out = left_out or unknown
        try:
            while (
                len(order.front) < depth and asked <= len(ranked) and asked < MOST and not self.request.sort
            ):
                asked = min(MOST, WIDER * asked)
                wider = self.release.find(
                    [self.request.user_query],
                    self.vector[None],
                    asked,
                    self.request.filters,
                    timeout_s=self._left_s(),
                    every=self.every,
                )
                left_out = left_out or wider.left_out
                if len(wider.hits[0]) <= len(ranked):
                    break
                ranked, contenders = wider.hits[0], wider.contenders[0]
                order, _ = self._arranged(ranked, contenders, named)
        except StoreError as error:
            left_out = left_out or str(error)
        front = self.draw(order.front, found.competing(place)) if self.draw else order.front
        return Ruled(placed([*front, *order.buried], depth), left_out, order.facets)

    def _arranged(
        self, ranked: Sequence[ScoredHit], contenders: int, named: Mapping[str, ScoredHit]
    ) -> tuple[_Order, str]:
        """Return the order, and why what reads traits may not have been applied."""
        request, traits, left_out = self.request, dict[str, Traits](), ""
        if self.rules.reads_traits or traits_read(request) or request.sort == "newest":
            try:
                traits = dict(self.release.traits_of({h.product_id for h in ranked} | named.keys()))
            except StoreError as error:
                left_out = str(error)
        competing = {h.product_id for h in ranked[:contenders]}
        if request.sort:
            order = allowed(self.rules, ranked, traits)
        else:
            order = arranged(self.rules, ranked, contenders, named, traits)
        kept = {h.product_id for h in (*order.front, *order.buried)}
        counted = facets(request.facets, [h for h in ranked[:FACETED] if h.product_id in kept], traits)
        if request.sort:
            front, buried = (
                in_order(hits, request.sort, competing, traits) for hits in (order.front, order.buried)
            )
            order = Arranged(front, buried)
        if request.group_by is None:
            return _Order(order.front, order.buried, counted), left_out
        alone = one_per_group([*order.front, *order.buried], request.group_by, traits)
        first = {h.product_id for h in order.front}
        return (
            _Order(
                [h for h in alone if h.product_id in first],
                [h for h in alone if h.product_id not in first],
                counted,
            ),
            left_out,
        )

    def _named(self, ranked: Sequence[ScoredHit]) -> tuple[dict[str, ScoredHit], str]:
        there = {h.product_id for h in ranked}
        lacking = [i for i in self.rules.pinned() if i not in there]
        if not lacking:
            return {}, ""
        try:
            found = self.release.named(lacking, self.vector, self.request.filters, timeout_s=self._left_s())
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

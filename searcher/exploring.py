"""Which answers are drawn, and what is new there: as far as the release remembers, nobody has taken it."""

import time
from collections.abc import Callable, Collection, Sequence

from retrieval.exploration import drawn, explored
from retrieval.release import LoadedRelease
from schemas.search import ScoredHit, SearchRequest
from schemas.settings import SearcherSettings
from searcher.new_products import NewProducts
from searcher.shown import query_id_of

# Of hits in their order and the ids that compete: the same with a new product among the first
Draw = Callable[[Sequence[ScoredHit], Collection[str]], list[ScoredHit]]


class Explorer:
    """Draws answers, and gives a new product a place in those."""

    def __init__(self, settings: SearcherSettings) -> None:
        self._share = settings.explore_share
        self.products = NewProducts(settings.explore_new_for.total_seconds() * 1000)

    def draw(self, request: SearchRequest, release: LoadedRelease) -> Draw | None:
        """Return what to do with the hits of an answer that is drawn, None for any other.

        The seed is of the search's ``query_id`` where there is one, so that further pages, which carry it,
        fit to the first. A further page without one is not drawn, nor is an answer in another order than that
        of the score.
        """
        query_id = query_id_of(request)
        if (
            not self._share
            or request.sort
            or request.compares
            or (request.offset and request.query_id is None)
        ):
            return None
        seed = f"{query_id or request.request_id}\0{release.generation}\0{request.user_query}"
        if not drawn(seed, self._share):
            return None
        now_ms = time.time() * 1000

        def new(product_id: str) -> bool:
            return self.products.holds(product_id, now_ms=now_ms) and not release.engaged(product_id)

        return lambda hits, competing: explored(hits, competing, new, seed=seed, share=self._share)

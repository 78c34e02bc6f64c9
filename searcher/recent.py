"""The last real requests of this process.

To warm a new generation, and to ask it what the old one answered.
"""

from collections import deque

from schemas.search import SearchRequest
from searcher.costing import cost_of

FIRST_QUERIES = ("wireless headphones", "running shoes", "usb c cable", "gift for a child")
# What costs more than so many ordinary searches is not asked again: it would keep a new generation from
# serving, and costs memory.
COST = 3.0


class Recent:
    """The last ``capacity`` ordinary requests. Appending and reading are safe from any thread."""

    def __init__(self, capacity: int = 256) -> None:
        self._requests: deque[SearchRequest] = deque(maxlen=capacity)

    def add(self, request: SearchRequest) -> None:
        """Remember one request, unless it is a costly one, or a comparison."""
        if cost_of(request) <= COST and not request.compares:
            self._requests.append(request)

    def sample(self, n: int) -> list[str]:
        """Return at most n different queries, the newest first; a fixed few when there are none yet."""
        real = [r.user_query for r in reversed(list(self._requests))]
        return list(dict.fromkeys([*real, *FIRST_QUERIES]))[:n]

    def last(self, n: int) -> list[SearchRequest]:
        """Return the last n requests, the oldest first."""
        return list(self._requests)[-n:] if n else []

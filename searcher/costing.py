"""What a request costs beside an ordinary search, and what an ordinary search takes now.

So that waiting can be foretold. Pure. The unit is one ordinary search: a query encoded, ten hits found. The
weights were measured on Milvus Lite; see ``benchmarks.crowding``.
"""

from collections.abc import Sequence

from retrieval.browsing import browses
from retrieval.filters import is_trait
from schemas.search import SearchRequest

HITS = 40  # hits that cost as much as one ordinary search, on their way from the index to the answer
VALUES = 20  # values of conditions that do: each is compared with every product
CHARACTERS = 4096  # characters of conditions that do
BROWSING = 1.0  # facets, groups, another order: all candidates are looked at
TRAITS = 2.0  # conditions on attributes: the products that meet them are named to the index
# What costs more is searched alone, and one at a time.
HEAVY = 8.0
# What encoding a picture costs: 4 to 9 times a short text and its search, in models of the size of ViT-B/32
# and ViT-B/16. It makes a request heavy, so that no text shares a batch with it.
PICTURE = 8.0
_NEWEST = 0.3
_LONGEST_S = 1.0


def cost_of(request: SearchRequest) -> float:
    """Return the cost, about 1 for an ordinary search.

    >>> cost_of(SearchRequest(request_id="r", user_query="tv"))
    1.25
    """
    values: Sequence[str] = [
        str(v) for f in request.filters for v in (f.value if isinstance(f.value, list) else [f.value])
    ]
    traits = TRAITS if any(is_trait(f.field) for f in request.filters) else 0.0
    asked = len(values) / VALUES + sum(map(len, values)) / CHARACTERS
    browsing = BROWSING if browses(request) else 0.0
    picture = PICTURE if request.image is not None else 0.0
    return 1.0 + (request.k + request.offset) / HITS + asked + traits + browsing + picture


def heavy(cost: float) -> bool:
    """Say whether a request of this cost is searched alone."""
    return cost > HEAVY


class CostRate:
    """How long a unit of cost takes now, in seconds, where there is enough to do: 0 until that was seen."""

    def __init__(self) -> None:
        self.unit_s = 0.0
        self._ended = 0.0

    def note(self, cost: float, started: float, ended: float) -> None:
        """Take a batch of this cost, between two moments in seconds.

        Of batches that overlap, what each has added. A small batch costs about as much as one of many
        requests: it says that a unit takes less than was thought, never more. One that hung says little: it
        counts as ``_LONGEST_S`` a unit at most.
        """
        sample = min(_LONGEST_S, max(0.0, ended - max(started, self._ended)) / max(1.0, cost))
        self._ended = max(self._ended, ended)
        if cost >= HEAVY or sample < self.unit_s:
            self.unit_s += _NEWEST * (sample - self.unit_s)

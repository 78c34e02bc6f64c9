"""Which requests of a batch share one call of the index, and which have been answered before. Pure."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from schemas.search import Filter, SearchRequest


@dataclass(frozen=True)
class Group:
    """Requests of one depth and the same conditions. ``members`` are their places in the batch."""

    depth: int
    filters: tuple[Filter, ...]
    members: tuple[int, ...]


def group(requests: Sequence[SearchRequest]) -> list[Group]:
    """Return the requests grouped by ``k + offset`` and their filters, in the order of first occurrence.

    Every request is in exactly one group. The order of conditions does not matter: they are joined by AND.
    """
    members: dict[tuple[int, frozenset[bytes]], list[int]] = {}
    for place, request in enumerate(requests):
        members.setdefault(
            (request.k + request.offset, frozenset(f.to_json() for f in request.filters)), []
        ).append(place)
    return [
        Group(depth, tuple(requests[places[0]].filters), tuple(places))
        for (depth, _), places in members.items()
    ]


def client_of(request: SearchRequest) -> str:
    """Return who asks, as far as a request says it: the client, else its session or user.

    ``""`` for all that name nobody.
    """
    return request.client_id or request.session_id or request.user_id or ""


class Memory:
    """The last ``capacity`` things that were seen, the oldest forgotten first."""

    def __init__(self, capacity: int) -> None:
        self._seen: OrderedDict[Hashable, None] = OrderedDict()
        self._capacity = capacity

    def __contains__(self, thing: Hashable) -> bool:
        return thing in self._seen

    def add(self, thing: Hashable) -> None:
        """Remember one more."""
        self._seen[thing] = None
        self._seen.move_to_end(thing)
        while len(self._seen) > self._capacity:
            self._seen.popitem(last=False)

    def discard(self, thing: Hashable) -> None:
        """Forget one; harmless when it is not there."""
        self._seen.pop(thing, None)

"""Whose request is searched next: a fair share for each client, and cheap requests not behind costly ones.

Pure; for one thread. Weighted fair queueing (Demers, Keshav and Shenker, 1989): a request's tag is the
virtual time at which it would be done if all clients that wait were served at the same time, in units of
cost; the lowest tag goes first. A client that sends much waits behind its own requests and not others behind
it; a request that costs a hundred waits while each other client gets a hundred's worth, and not for ever.
"""

from bisect import bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from searcher.batching import client_of
from searcher.costing import heavy
from searcher.requests import Accepted

_FLOWS = 10_000


@dataclass(frozen=True, slots=True)
class WaitingRequest:
    """A request that waits, and its cost."""

    accepted: Accepted
    cost: float

    @property
    def flow(self) -> str:
        """Whose share it takes: the client's; of a request that names nobody, its record's key."""
        return client_of(self.accepted.request) or f"key:{hash(self.accepted.record.key)}"


Place = tuple[float, int, WaitingRequest]


class Waiting:
    """Requests that wait, at most ``most`` and ``most_bytes`` together."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._places: list[Place] = []
        # The tag of each client's last request, while it waits or is ahead of its share
        self._last: dict[str, float] = {}
        self._flows: Counter[str] = Counter()
        self._now = 0.0  # virtual time: what each client that waits has been given
        self._number = 0
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._places)

    def add(self, asked: WaitingRequest) -> list[WaitingRequest]:
        """Let one wait; return those for which there is no room: the last in line, which may be this one."""
        self._number += 1
        tag = self._tag(asked)
        self._last[asked.flow] = tag
        insort(self._places, (tag, self._number, asked))
        self._flows[asked.flow] += 1
        self._bytes += asked.accepted.bytes
        over = []
        while len(self._places) > self._most or self._bytes > self._most_bytes:
            tag, _, last = self._places.pop()
            self._leave(last)
            self._last[last.flow] = tag - last.cost
            over.append(last)
        return over

    def ahead(self, asked: WaitingRequest) -> float:
        """Return the cost of all that would hold this one up, were it added now.

        That is what would be taken before it; but a heavy one is searched beside others, and holds up heavy
        ones only.
        """
        place = bisect_right(self._places, self._tag(asked), key=lambda p: p[0])
        alone = heavy(asked.cost)
        return sum(p[2].cost for p in self._places[:place] if alone or not heavy(p[2].cost))

    def late(self, now_ms: float) -> list[WaitingRequest]:
        """Take out those that have waited too long: they would only keep others from being let in.

        Nobody has served them, so their clients get their shares back: what these have waiting moves up, and
        so does what they send next.
        """
        late = {
            number: asked for _, number, asked in self._places if asked.accepted.remaining_ms(now_ms) <= 0
        }
        if not late:
            return []
        given_back: defaultdict[str, float] = defaultdict(float)
        kept: list[Place] = []
        for tag, number, asked in self._places:
            flow = asked.flow
            if number in late:
                self._leave(asked)
                given_back[flow] += asked.cost
            else:
                kept.append((tag - given_back[flow], number, asked))
        self._places = sorted(kept)
        for flow, cost in given_back.items():
            tag = self._last.pop(flow, 0.0) - cost
            if tag > self._now:
                self._last[flow] = tag
        return list(late.values())

    def take(self, most: int, budget: float, *, heavy_too: bool) -> list[WaitingRequest]:
        """Take the next requests.

        At most ``most`` of at most ``budget`` together, or one heavy one alone where it is next.
        """
        taken: list[Place] = []
        cost = 0.0
        for place in self._places:
            asked = place[2]
            if heavy(asked.cost):
                if heavy_too and not taken:
                    taken.append(place)
                    break
                if heavy_too:
                    break  # its turn is next, alone
                continue
            if taken and (len(taken) == most or cost + asked.cost > budget):
                break
            taken.append(place)
            cost += asked.cost
        self._remove(taken)
        return [asked for _, _, asked in taken]

    def clear(self) -> None:
        """Forget all that waits."""
        self._places.clear()
        self._last.clear()
        self._flows.clear()
        self._bytes = 0

    def _tag(self, asked: WaitingRequest) -> float:
        return max(self._now, self._last.get(asked.flow, 0.0)) + asked.cost

    def _remove(self, taken: Sequence[Place]) -> None:
        if not taken:
            return
        numbers = {number for _, number, _ in taken}
        last = self._places.index(taken[-1])
        self._places[: last + 1] = [p for p in self._places[: last + 1] if p[1] not in numbers]
        self._now += sum(asked.cost for _, _, asked in taken) / len(self._flows)
        for _, _, asked in taken:
            self._leave(asked)
        if not self._places or len(self._last) > _FLOWS:
            self._last = {flow: tag for flow, tag in self._last.items() if tag > self._now and self._places}

    def _leave(self, asked: WaitingRequest) -> None:
        self._bytes -= asked.accepted.bytes
        self._flows[asked.flow] -= 1
        if not self._flows[asked.flow]:
            del self._flows[asked.flow]

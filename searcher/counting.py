"""Count what each generation has answered, for the reports: answers, errors, empty ones, latencies; and how long searches take now."""

import time
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Sequence

from schemas.releases import LATENCY_BOUNDS_MS, Served
from schemas.search import SearchResponse, Status

GENERATIONS = 3
WINDOW_S = 5.0
REMEMBERED = 2000


class Counts:
    """The counts since the start, of the generations that answered last. For one thread."""

    def __init__(self) -> None:
        self._served: OrderedDict[int, Served] = OrderedDict()
        self._recent: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)

    def add(self, responses: Sequence[SearchResponse]) -> None:
        """Count answers. What no generation answered (expired, rejected) says nothing about one."""
        now = time.monotonic()
        for response in responses:
            if response.generation is not None and response.status in {Status.OK, Status.PARTIAL, Status.ERROR}:
                self._count(response.generation, response)
                self._recent.append((now, response.timings.total_ms))

    def served(self) -> list[Served]:
        """Return the counts, the generation that answered last at the end."""
        return list(self._served.values())

    def recent_p95_ms(self) -> float | None:
        """Return the p95 of the whole latency over the last ``WINDOW_S`` seconds, None without answers."""
        since = time.monotonic() - WINDOW_S
        took = sorted(ms for at, ms in self._recent if at >= since)
        return round(took[min(len(took) - 1, int(0.95 * len(took)))], 1) if took else None

    def _count(self, generation: int, response: SearchResponse) -> None:
        old = self._served.get(generation) or Served(generation=generation, latency_counts=[0] * (len(LATENCY_BOUNDS_MS) + 1))
        counts = list(old.latency_counts)
        counts[bisect_left(LATENCY_BOUNDS_MS, response.timings.embed_ms + response.timings.search_ms)] += 1
        failed = response.status is Status.ERROR
        self._served[generation] = Served(
            generation=generation,
            answers=old.answers + 1,
            errors=old.errors + failed,
            empty=old.empty + (not failed and not response.hits),
            latency_counts=counts,
        )
        self._served.move_to_end(generation)
        while len(self._served) > GENERATIONS:
            self._served.popitem(last=False)

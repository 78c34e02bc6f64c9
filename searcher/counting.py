"""Count what each generation has answered, for the reports, and how long searches take now.

Of answers: their number, errors, empty ones, latencies. Refreshes count with the generation that they
refresh. Counts begin anew when a pointer makes it serve: what it did before its last promotion says nothing
about this one. Plain requests are counted by client besides: filters that match nothing, pages beyond the end
and a few clients cannot speak for all.
"""

import time
from bisect import bisect_left
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from zlib import crc32

from retrieval.browsing import browses
from retrieval.naming import stamp_of
from schemas.releases import CLIENT_BUCKETS, LATENCY_BOUNDS_MS, LivePointer, Served
from schemas.search import SearchRequest, SearchResponse, Status
from searcher.batching import Memory, client_of

GENERATIONS = 3
WINDOW_S = 5.0
REMEMBERED = 2000
TURNS = 50
QUERIES = 20_000  # of which a second asking by the same client is known


def _zeros(count: int) -> list[int]:
    return [0] * count


@dataclass
class _Tally:
    """The counts of one generation since the pointer of ``sequence``."""

    sequence: int = 0
    answers: int = 0
    errors: int = 0
    empty: int = 0
    latencies: list[int] = field(default_factory=lambda: _zeros(len(LATENCY_BOUNDS_MS) + 1))
    plain: list[int] = field(default_factory=lambda: _zeros(CLIENT_BUCKETS))
    plain_errors: list[int] = field(default_factory=lambda: _zeros(CLIENT_BUCKETS))
    plain_empty: list[int] = field(default_factory=lambda: _zeros(CLIENT_BUCKETS))
    asked: Memory = field(default_factory=lambda: Memory(QUERIES))
    turns: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=TURNS))


class Counts:
    """The counts of the generations that answered last. For one thread."""

    def __init__(self) -> None:
        self._tallies: OrderedDict[int, _Tally] = OrderedDict()
        self._recent: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        self._serving: int | None = None
        self._stamps: dict[int, int] = {}
        self._sequence = 0

    def follow(self, pointer: LivePointer) -> None:
        """Begin anew where a pointer changes what serves, or promotes it again.

        One that only refreshes, pauses or pins changes nothing.
        """
        both = [release for release in (pointer.previous, pointer.live) if release]
        self._stamps = {release.generation: stamp_of(release) for release in both}
        generation = stamp_of(pointer.live)
        if generation != self._serving or pointer.cause == "promote":
            self._tallies.pop(generation, None)
            self._serving, self._sequence = generation, pointer.sequence

    def add(
        self, response: SearchResponse, request: SearchRequest | None = None, *, found: bool | None = None
    ) -> None:
        """Count an answer.

        What no generation answered (expired, rejected) says nothing about one, nor does a comparison.
        ``found``: whether the generation had found something, before the shop's rules; None: by the hits.
        """
        if response.generation is None or response.status not in {Status.OK, Status.PARTIAL, Status.ERROR}:
            return
        if request is not None and request.compares:
            return
        tally = self._of(self._stamps.get(response.generation, response.generation))
        failed, empty = (
            response.status is Status.ERROR,
            response.status is not Status.ERROR and not (response.hits if found is None else found),
        )
        tally.answers += 1
        tally.errors += failed
        tally.empty += empty
        self._recent.append((time.monotonic(), response.timings.total_ms))
        if request is not None and (
            request.filters or request.offset or request.image is not None or browses(request)
        ):
            return  # what it takes is a matter of filter, page, picture, and of what is asked for besides
        tally.latencies[
            bisect_left(LATENCY_BOUNDS_MS, response.timings.embed_ms + response.timings.search_ms)
        ] += 1
        if request is None:
            return
        client = client_of(request)
        asking = hash((client, request.user_query))
        if asking in tally.asked:
            return
        tally.asked.add(asking)
        bucket = crc32(client.encode()) % CLIENT_BUCKETS
        tally.plain[bucket] += 1
        tally.plain_errors[bucket] += failed
        tally.plain_empty[bucket] += empty

    def turn(self, generation: int, took_ms: tuple[float, float]) -> None:
        """Note how long a generation took, and the one before its promotion, for the same query."""
        self._of(generation).turns.append(took_ms)

    def turns_of(self, generation: int) -> int:
        """Return how many turns are known."""
        return len(self._tallies[generation].turns) if generation in self._tallies else 0

    def served(self) -> list[Served]:
        """Return the counts, the generation that answered last at the end."""
        return [
            Served(
                generation=generation, sequence=t.sequence, answers=t.answers, errors=t.errors, empty=t.empty,
                latency_counts=list(t.latencies), plain_by_client=list(t.plain),
                plain_errors_by_client=list(t.plain_errors), plain_empty_by_client=list(t.plain_empty),
                turns=list(t.turns),
            )
            for generation, t in self._tallies.items()
        ]  # fmt: skip

    def recent_p95_ms(self) -> float | None:
        """Return the p95 of the whole latency over the last ``WINDOW_S`` seconds, None without answers."""
        since = time.monotonic() - WINDOW_S
        took = sorted(ms for at, ms in self._recent if at >= since)
        return round(took[min(len(took) - 1, int(0.95 * len(took)))], 1) if took else None

    def _of(self, generation: int) -> _Tally:
        if generation not in self._tallies:
            self._tallies[generation] = _Tally(self._sequence if generation == self._serving else 0)
        self._tallies.move_to_end(generation)
        while len(self._tallies) > GENERATIONS:
            self._tallies.popitem(last=False)
        return self._tallies[generation]

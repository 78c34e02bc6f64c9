"""Who searches while generations change: ours by leases, the contrast by alias and a separately read encoder.

Both check each answer. An answer is mixed when the asked product is not first with its full cosine: an index
of another model cannot give that. Each also names a generation and its collection, which ``named`` keeps.
"""

import asyncio
import threading
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from benchmarks.deployment.changing_catalogue import PROBES, Catalogue
from retrieval.encoder import Encoder
from retrieval.index import VectorStore
from retrieval.live import Live
from retrieval.ranking import DENSE
from retrieval.release import LoadedRelease
from schemas.search import SearchRequest, SearchResponse
from searcher.answering import answer
from searcher.counting import Counts
from searcher.recent import Recent

FULL_COSINE = 0.99  # of a title with itself, by query and index of one model
FRESH_S = 2.0
FIRST = 100


@dataclass
class ReaderTally:
    """What was seen. ``took_ms`` by phase; the first faults in words."""

    requests: int = 0
    failed: int = 0
    mixed: int = 0
    deleted_returned: int = 0
    took_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    named: set[tuple[int | None, str | None]] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        """Keep the first few."""
        if len(self.faults) < 5:
            self.faults.append(text)


@dataclass(frozen=True)
class Asked:
    """Where a searcher keeps what it was asked and how long it took.

    For shadow replay, the guard and the throttle.
    """

    recent: Recent
    counts: Counts
    loop: asyncio.AbstractEventLoop

    def note(self, request: SearchRequest, response: SearchResponse, took_ms: float) -> None:
        """Keep one answered request. From any thread."""
        self.recent.add(request)
        timed = response.model_copy(
            update={"timings": response.timings.model_copy(update={"total_ms": took_ms})}
        )
        self.loop.call_soon_threadsafe(self.counts.add, timed, request)


class Readers:
    """Threads that search until ``stop``. ``phase`` is set by whoever changes generations."""

    def __init__(
        self,
        live: Live[LoadedRelease],
        catalogue: Catalogue,
        asked: Asked,
        *,
        threads: int,
        pause_ms: float,
        seed: int,
    ) -> None:
        self._asked = asked
        self.phase = "other"
        self.ours = ReaderTally()
        self._live = live
        self._catalogue = catalogue
        self._pause_s = pause_ms / 1000
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.served: int | None = None
        self.since_swap = 0
        self._threads = [
            threading.Thread(target=self._read, args=(seed * 1000 + n,), daemon=True) for n in range(threads)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and wait for the last answers."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _read(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        while not self._stop.wait(float(rng.exponential(self._pause_s))):
            probe = int(rng.integers(len(PROBES)))
            kind = rng.random()
            query, expected = PROBES[probe], f"probe{probe:03d}"
            if kind > 0.6:  # what changed or was deleted lately: there deleted products would appear
                expected = ""
                ids = list(self._catalogue.deleted) if kind > 0.8 else []
                query = self._catalogue.last_titles[ids[int(rng.integers(len(ids)))]] if ids else query
            self._ask(query, expected)

    def _ask(self, query: str, expected: str) -> None:
        label = self._label()
        request = SearchRequest(request_id=uuid.uuid4().hex, user_query=query, k=10, explain=True)
        started, began = time.perf_counter(), time.monotonic()
        try:
            response = answer(self._live, [request], timeout_s=10.0)[0].response
        except Exception as error:  # whatever is raised is a failed request
            with self._lock:
                self.ours.requests += 1
                self.ours.failed += 1
                self.ours.fault(f"{type(error).__name__}: {error}")
            return
        took = (time.perf_counter() - started) * 1000
        self._asked.note(request, response, took)
        old = [
            h.product_id
            for h in response.hits
            if began - self._catalogue.deleted.get(h.product_id, began) > FRESH_S
        ]
        with self._lock:
            self.ours.requests += 1
            self.ours.took_ms[label].append(took)
            self.ours.named.add((response.generation, response.collection))
            if response.error or not response.hits:
                self.ours.failed += 1
                self.ours.fault(f"{query!r}: {response.error or 'no hits'}")
            elif expected and not is_own(response, expected):
                self.ours.mixed += 1
                self.ours.fault(
                    f"{query!r} by {response.generation}: "
                    f"{[(h.product_id, round(h.score, 3)) for h in response.hits[:2]]}"
                )
            if old:
                self.ours.deleted_returned += 1
                self.ours.fault(f"deleted {old} returned by {response.generation}")

    def _label(self) -> str:
        """Say what phase a request begins in.

        The first hundred after a change of generation are a phase of their own.
        """
        with self._lock:
            current = self._live.current
            generation = current.generation if current else None
            if generation != self.served:
                first = self.served is None
                self.served, self.since_swap = generation, FIRST if first else 0
            self.since_swap += 1
            return "after_swap" if self.since_swap <= FIRST else self.phase


def is_own(response: SearchResponse, expected: str) -> bool:
    """Say whether a product is first, found by the query and the index of one model."""
    first = response.hits[0]
    return first.product_id == expected and (first.parts or {}).get(DENSE, 0.0) >= FULL_COSINE


class Contrast:
    """The usual way, in one thread: the alias is searched with whatever encoder is current.

    ``encoder`` is set at each swap.
    """

    def __init__(self, store: VectorStore, alias: str, *, pause_ms: float, seed: int) -> None:
        self.encoder: Encoder | None = None
        self.tally = ReaderTally()
        self._store = store
        self._alias = alias
        self._pause_s = pause_ms / 1000
        self._rng = np.random.default_rng(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the last answer."""
        self._stop.set()
        self._thread.join(60)

    def _read(self) -> None:
        while not self._stop.wait(self._pause_s):
            encoder = self.encoder
            if encoder is None:
                continue
            probe = int(self._rng.integers(len(PROBES)))
            self.tally.requests += 1
            try:
                self._store._layouts.pop(self._alias, None)  # noqa: SLF001 (a name whose dimension changes is our contrast's, not the store's)
                (hits,) = self._store.search(self._alias, encoder.encode_queries([PROBES[probe]]), 10)
                self.tally.mixed += (
                    not hits or hits[0].product_id != f"probe{probe:03d}" or hits[0].score < FULL_COSINE
                )
            except Exception as error:
                self.tally.failed += 1
                self.tally.fault(f"{type(error).__name__}: {error}")

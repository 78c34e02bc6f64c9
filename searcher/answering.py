"""Answer a batch of valid requests from one leased release.

One call of the encoder, one of the index per group. Blocks: runs in a worker thread. A failure is tried once
more under a fresh lease, and the query is embedded again by that release: a vector of one generation never
meets the index of another.
"""

import time
from collections.abc import Callable, Sequence

import structlog

from retrieval.encoder import EncodingError
from retrieval.index import StoreError
from retrieval.live import Live
from retrieval.release import Found, LoadedRelease
from schemas.search import ScoredHit, SearchError, SearchRequest, SearchResponse, Status, Timings
from searcher.batching import group
from searcher.metrics import RETRIED

log = structlog.get_logger(__name__)

ATTEMPTS = 2
LEAST_S = 0.5


def answer(
    live: Live[LoadedRelease],
    requests: Sequence[SearchRequest],
    *,
    timeout_s: float,
    encoded: Callable[[], object] = lambda: None,
) -> list[SearchResponse]:
    """Return one response per request, in order.

    ``ok``; ``partial`` when only the cosine could be computed; ``error`` when both attempts failed.
    ``timeout_s`` bounds what is waited for the index, over both attempts (the second gets at least
    ``LEAST_S``). ``encoded`` is called each time the encoder is done and only the index is waited for. Queue
    and total times are left 0.
    Raises ``NothingLiveError`` before a first release.
    """
    responses: dict[int, SearchResponse] = {}
    end = time.monotonic() + timeout_s
    for attempt in range(ATTEMPTS):
        pending = [
            i for i in range(len(requests)) if i not in responses or responses[i].status is Status.ERROR
        ]
        if not pending:
            break
        if attempt:
            RETRIED.inc(len(pending))
        with live.lease() as release:
            answered = _attempt(
                release, [requests[i] for i in pending], max(LEAST_S, end - time.monotonic()), encoded
            )
        responses |= dict(zip(pending, answered, strict=True))
    return [responses[i] for i in range(len(requests))]


def _attempt(
    release: LoadedRelease, requests: Sequence[SearchRequest], timeout_s: float, encoded: Callable[[], object]
) -> list[SearchResponse]:
    started = time.perf_counter()
    try:
        vectors = release.embed([r.user_query for r in requests])
    except EncodingError as error:
        log.warning("encoding failed", generation=release.generation, reason=str(error))
        fault = SearchError(code="encoding_failed", message=str(error), retryable=True)
        return [_response(r, release, [], fault=fault) for r in requests]
    embed_ms = (time.perf_counter() - started) * 1000
    encoded()
    responses: dict[int, SearchResponse] = {}
    for one in group(requests):
        started = time.perf_counter()
        found = Found([[] for _ in one.members])
        failed: SearchError | None = None
        asked = [requests[i].user_query for i in one.members]
        try:
            found = release.find(
                asked, vectors[list(one.members)], one.depth, one.filters, timeout_s=timeout_s
            )
        except StoreError as error:
            log.warning(
                "index failed",
                generation=release.generation,
                collection=release.release.collection,
                reason=str(error),
            )
            failed = SearchError(code="index_unavailable", message=str(error), retryable=True)
        timings = Timings(
            embed_ms=round(embed_ms, 3), search_ms=round((time.perf_counter() - started) * 1000, 3)
        )
        if found.left_out:
            failed = SearchError(code="parts_left_out", message=found.left_out, retryable=True)
        for place, hits in zip(one.members, found.hits, strict=True):
            responses[place] = _response(
                requests[place], release, hits, timings=timings, fault=failed, partial=bool(found.left_out)
            )
    return [responses[i] for i in range(len(requests))]


def _response(
    request: SearchRequest,
    release: LoadedRelease,
    hits: Sequence[ScoredHit],
    *,
    timings: Timings | None = None,
    fault: SearchError | None = None,
    partial: bool = False,
) -> SearchResponse:
    shown = list(hits[request.offset : request.offset + request.k])
    if not request.explain:
        shown = [h.model_copy(update={"parts": None}) for h in shown]
    return SearchResponse(
        request_id=request.request_id,
        query_id=request.query_id,
        status=Status.PARTIAL if partial else Status.ERROR if fault else Status.OK,
        hits=shown,
        generation=release.generation,
        model=release.model_id,
        collection=release.release.collection,
        timings=timings or Timings(),
        error=fault,
    )

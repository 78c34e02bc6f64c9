"""Answer a batch of valid requests from one leased release.

One call of the encoder, one of the index per group. Blocks: runs in a worker thread. A failure is tried once
more under a fresh lease, and the query is embedded again by that release: a vector of one generation never
meets the index of another.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from retrieval.browsing import browses, traits_read
from retrieval.encoder import EncodingError, Vectors
from retrieval.filters import of_traits
from retrieval.index import StoreError
from retrieval.live import Live
from retrieval.merchandising import QueryRules, RuleSet
from retrieval.release import LoadedRelease
from schemas.search import (
    Facet,
    RankingAsked,
    ScoredHit,
    SearchError,
    SearchRequest,
    SearchResponse,
    Status,
    Timings,
)
from searcher.batching import Group, group
from searcher.comparing import Held, leased, not_held, nothing_else
from searcher.exploring import Explorer
from searcher.metrics import EXPLORED, RETRIED
from searcher.ruling import Ruling, placed

log = structlog.get_logger(__name__)

ATTEMPTS = 2
LEAST_S = 0.5


@dataclass(frozen=True)
class Answered:
    """A response. ``found``: its generation had found something, whatever the shop's rules made of it."""

    response: SearchResponse
    found: bool


def answer(
    live: Live[LoadedRelease],
    requests: Sequence[SearchRequest],
    *,
    timeout_s: float,
    encoded: Callable[[], object] = lambda: None,
    rules: RuleSet | None = None,
    explorer: Explorer | None = None,
    held: Held = nothing_else,
) -> list[Answered]:
    """Return one response per request, in order.

    ``ok``, with a note where no product has an attribute that is asked for; ``partial`` when only the cosine
    could be computed, or what ``rules`` pin could not be read; ``error`` when both attempts failed;
    ``rejected`` for a picture that the model cannot see, and for a comparison with what is not there.
    Pictures are prepared ones. ``held``: the releases that one compares with.
    ``timeout_s`` bounds what is waited for the index, over both attempts (the second gets at least
    ``LEAST_S``). ``encoded`` is called each time the encoder is done and only the index is waited for.
    ``explorer`` gives new products a place. Queue and total times are left 0. Raises ``NothingLiveError``
    before a first release.
    """
    answers: dict[int, Answered] = {}
    rules = RuleSet() if rules is None else rules
    end = time.monotonic() + timeout_s
    for attempt in range(ATTEMPTS):
        pending = [
            i for i in range(len(requests)) if i not in answers or answers[i].response.status is Status.ERROR
        ]
        if not pending:
            break
        if attempt:
            RETRIED.inc(len(pending))
        for ranking, places in _by_ranking(requests, pending).items():
            asked, left_s = [requests[i] for i in places], max(LEAST_S, end - time.monotonic())
            with leased(live, held, ranking) as release:
                answered = (
                    [Answered(not_held(request), found=False) for request in asked]
                    if release is None
                    else _by_one(release, asked, left_s, encoded, rules, explorer)
                )
            answers |= dict(zip(places, answered, strict=True))
    return [answers[i] for i in range(len(requests))]


def _by_ranking(
    requests: Sequence[SearchRequest], pending: Sequence[int]
) -> Mapping[RankingAsked, list[int]]:
    found: dict[RankingAsked, list[int]] = {}
    for place in pending:
        found.setdefault(requests[place].ranking, []).append(place)
    return found


def _by_one(
    release: LoadedRelease,
    requests: Sequence[SearchRequest],
    timeout_s: float,
    encoded: Callable[[], object],
    rules: RuleSet,
    explorer: Explorer | None,
) -> list[Answered]:
    """Return the answers of one release; it searches no picture that its model cannot see."""
    seen = [r for r in requests if r.image is None or release.encoder.sees]
    answers = iter(_attempt(release, seen, timeout_s, encoded, rules, explorer))
    return [
        next(answers) if r.image is None or release.encoder.sees else _no_pictures(r, release)
        for r in requests
    ]


def _attempt(
    release: LoadedRelease,
    requests: Sequence[SearchRequest],
    timeout_s: float,
    encoded: Callable[[], object],
    rules: RuleSet,
    explorer: Explorer | None,
) -> list[Answered]:
    started = time.perf_counter()
    try:
        vectors = release.embed_asked(requests)
    except EncodingError as error:
        log.warning("encoding failed", generation=release.generation, reason=str(error))
        fault = SearchError(code="encoding_failed", message=str(error), retryable=True)
        return [Answered(_response(r, release, [], fault=fault), found=False) for r in requests]
    embed_ms = (time.perf_counter() - started) * 1000
    encoded()
    answers: dict[int, Answered] = {}
    for one in group(requests):
        members = [requests[i] for i in one.members]
        found = _answered(
            release, members, vectors[list(one.members)], one, rules, explorer, timeout_s, embed_ms
        )
        answers |= dict(zip(one.members, found, strict=True))
    return [answers[i] for i in range(len(requests))]


def _answered(
    release: LoadedRelease,
    requests: Sequence[SearchRequest],
    vectors: Vectors,
    asked: Group,
    rules: RuleSet,
    explorer: Explorer | None,
    timeout_s: float,
    embed_ms: float,
) -> list[Answered]:
    """Return the answers to a group, whose vectors are (n, dim)."""
    started, end, now = time.perf_counter(), time.monotonic() + timeout_s, time.time()
    queries = [r.user_query for r in requests]
    own_rules = [rules.of(query, now=now) for query in queries]
    draws = [explorer.draw(r, release) if explorer else None for r in requests]
    rulings = [
        Ruling(release, own or QueryRules(), r, vector, end, draw) if own or browses(r) else None
        for r, own, vector, draw in zip(requests, own_rules, vectors, draws, strict=True)
    ]
    depth = max([asked.depth, *(one.depth(asked.depth) for one in rulings if one is not None)])
    every = any(draws) or any(one is not None and one.every for one in rulings)
    try:
        notes = [_unknown(release, r) for r in requests]
        found = release.find(queries, vectors, depth, asked.filters, timeout_s=timeout_s, every=every)
    except StoreError as error:
        log.warning(
            "index failed",
            generation=release.generation,
            collection=release.release.collection,
            reason=str(error),
        )
        fault = SearchError(code="index_unavailable", message=str(error), retryable=True)
        timings = _timings(embed_ms, started)
        return [
            Answered(_response(r, release, [], timings=timings, fault=fault), found=False) for r in requests
        ]
    hits = [own[: asked.depth] for own in found.hits]
    faults = [_left_out("parts", found.left_out)] * len(requests)
    facets: list[Sequence[Facet]] = [()] * len(requests)
    something = [bool(_page(r, own)) for r, own in zip(requests, hits, strict=True)]
    for n, ruling in enumerate(rulings):
        if ruling is not None:
            one = ruling.hits(found, n, depth, asked.depth)
            hits[n], facets[n] = one.hits, one.facets
            faults[n] = faults[n] or _left_out("rules", one.left_out)
        elif draw := draws[n]:
            hits[n] = placed(draw(found.hits[n], found.competing(n)), asked.depth)
    timings = _timings(embed_ms, started, found.index_ms)
    return [
        Answered(
            _response(
                r, release, own, timings=timings, fault=fault or note, status=_ended(fault), facets=counted
            ),
            found=any_,
        )
        for r, own, fault, note, any_, counted in zip(
            requests, hits, faults, notes, something, facets, strict=True
        )
    ]


def _no_pictures(request: SearchRequest, release: LoadedRelease) -> Answered:
    message = (
        f"the model of generation {release.generation} reads texts only: ask by text, or serve one that sees "
        "pictures, too"
    )
    fault = SearchError(code="no_pictures", message=message)
    response = _response(request, release, [], fault=fault)
    return Answered(response.model_copy(update={"status": Status.REJECTED}), found=False)


def _timings(embed_ms: float, started: float, index_ms: float = 0.0) -> Timings:
    search_ms = (time.perf_counter() - started) * 1000
    return Timings(embed_ms=round(embed_ms, 3), search_ms=round(search_ms, 3), index_ms=round(index_ms, 3))


def _left_out(what: str, why: str) -> SearchError | None:
    return SearchError(code=f"{what}_left_out", message=why[:200], retryable=True) if why else None


def _ended(fault: SearchError | None) -> Status:
    return Status.OK if fault is None else Status.PARTIAL


def _unknown(release: LoadedRelease, request: SearchRequest) -> SearchError | None:
    """Return what is said of attributes that no product has: they may be misspelt.

    Nothing while the catalogue, which knows them, is being read: whoever needs it then raises.
    """
    asked = {f.field for f in of_traits(request.filters)} | traits_read(request)
    try:
        names = release.unknown(asked) if asked else []
    except StoreError:
        return None
    if not names:
        return None
    message = f"no product of the catalogue has {', '.join(names)}"[:500]
    return SearchError(code="unknown_attribute", message=message)


def _page(request: SearchRequest, hits: Sequence[ScoredHit]) -> list[ScoredHit]:
    return list(hits[request.offset : request.offset + request.k])


def _response(
    request: SearchRequest,
    release: LoadedRelease,
    hits: Sequence[ScoredHit],
    *,
    timings: Timings | None = None,
    fault: SearchError | None = None,
    status: Status = Status.ERROR,
    facets: Sequence[Facet] = (),
) -> SearchResponse:
    shown = _page(request, hits)
    EXPLORED.inc(any(h.explored is not None for h in shown))
    if not request.explain:
        shown = [h.model_copy(update={"parts": None}) for h in shown]
    return SearchResponse(
        request_id=request.request_id,
        query_id=request.query_id,
        status=status,
        hits=shown,
        facets=list(facets),
        generation=release.generation,
        model=release.model_id,
        collection=release.release.collection,
        timings=timings or Timings(),
        error=fault,
    )

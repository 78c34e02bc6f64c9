from schemas.releases import LATENCY_BOUNDS_MS
from schemas.search import ScoredHit, SearchError, SearchRequest, SearchResponse, Status, Timings
from searcher.counting import GENERATIONS, Counts
from searcher.recent import Recent


def answer(generation: int | None = 1, status: Status = Status.OK, hits: int = 1, ms: float = 12.0) -> SearchResponse:
    return SearchResponse(
        request_id="r",
        status=status,
        generation=generation,
        hits=[ScoredHit(product_id=f"p{i}", rank=i + 1, score=1.0) for i in range(hits)],
        timings=Timings(embed_ms=ms, total_ms=ms + 5),
        error=SearchError(code="x", message="y") if status is Status.ERROR else None,
    )


def test_each_generation_has_its_own_counts() -> None:
    counts = Counts()
    counts.add([answer(1), answer(1, hits=0), answer(2, Status.ERROR, hits=0), answer(None, Status.EXPIRED, hits=0)])
    first, second = counts.served()
    assert (first.generation, first.answers, first.errors, first.empty) == (1, 2, 0, 1)
    assert (second.generation, second.answers, second.errors, second.empty) == (2, 1, 1, 0)
    assert sum(first.latency_counts) == 2
    assert first.latency_counts[LATENCY_BOUNDS_MS.index(15.0)] == 2


def test_the_last_bucket_takes_what_is_above_all_bounds() -> None:
    counts = Counts()
    counts.add([answer(ms=1e6)])
    assert counts.served()[0].latency_counts[-1] == 1


def test_only_the_generations_that_answered_last_are_kept() -> None:
    counts = Counts()
    counts.add([answer(g) for g in range(1, GENERATIONS + 3)])
    assert [s.generation for s in counts.served()] == list(range(3, GENERATIONS + 3))


def test_the_recent_p95_is_none_without_answers() -> None:
    counts = Counts()
    assert counts.recent_p95_ms() is None
    counts.add([answer(ms=float(i)) for i in range(100)])
    assert counts.recent_p95_ms() == 100.0


def test_recent_requests_come_back_oldest_first_and_queries_newest_first_without_repeats() -> None:
    recent = Recent(capacity=3)
    for text in ("a", "b", "c", "b"):
        recent.add(SearchRequest(request_id=text, user_query=text))
    assert [r.user_query for r in recent.last(2)] == ["c", "b"]
    assert recent.sample(3)[:2] == ["b", "c"]
    assert recent.last(0) == []

from schemas.releases import LATENCY_BOUNDS_MS, LivePointer
from schemas.search import ScoredHit, SearchError, SearchRequest, SearchResponse, Status, Timings
from searcher.counting import GENERATIONS, Counts
from searcher.recent import Recent
from tests.releases import a_release


def answer(
    generation: int | None = 1, status: Status = Status.OK, hits: int = 1, ms: float = 12.0
) -> SearchResponse:
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
    for one in (
        answer(1),
        answer(1, hits=0),
        answer(2, Status.ERROR, hits=0),
        answer(None, Status.EXPIRED, hits=0),
    ):
        counts.add(one)
    first, second = counts.served()
    assert (first.generation, first.answers, first.errors, first.empty) == (1, 2, 0, 1)
    assert (second.generation, second.answers, second.errors, second.empty) == (2, 1, 1, 0)
    assert sum(first.latency_counts) == 2
    assert first.latency_counts[LATENCY_BOUNDS_MS.index(15.0)] == 2


def test_the_last_bucket_takes_what_is_above_all_bounds() -> None:
    counts = Counts()
    counts.add(answer(ms=1e6))
    assert counts.served()[0].latency_counts[-1] == 1


def test_only_the_generations_that_answered_last_are_kept() -> None:
    counts = Counts()
    for generation in range(1, GENERATIONS + 3):
        counts.add(answer(generation))
    assert [s.generation for s in counts.served()] == list(range(3, GENERATIONS + 3))


def asked(query: str, client: str | None = "c1", **fields: object) -> SearchRequest:
    return SearchRequest.model_validate(
        {"request_id": "r", "user_query": query, "client_id": client, **fields}
    )


def test_what_a_picture_takes_says_nothing_of_plain_searches() -> None:
    counts = Counts()
    counts.add(answer(ms=900.0), SearchRequest(request_id="r", image=b"prepared", client_id="c1"))
    (served,) = counts.served()
    assert (served.answers, sum(served.latency_counts), sum(served.plain_by_client)) == (1, 0, 0)


def pointer(generation: int, sequence: int, cause: str = "promote") -> LivePointer:
    return LivePointer(sequence=sequence, live=a_release(generation), cause=cause)


def test_refreshes_count_with_what_they_refresh_and_end_no_watch_over_it() -> None:
    counts = Counts()
    counts.follow(pointer(2, sequence=5))
    counts.add(answer(2))
    for generation in range(3, 3 + GENERATIONS):
        before = pointer(generation, sequence=3 + generation, cause="refresh")
        live = before.live.model_copy(update={"kind": "refresh", "collection": "shop_main_g000002"})
        counts.follow(before.model_copy(update={"live": live}))
        counts.add(answer(generation))
    (served,) = counts.served()
    assert (served.generation, served.sequence, served.answers) == (2, 5, 1 + GENERATIONS)


def test_filtered_paged_and_repeated_requests_say_nothing_of_a_generation() -> None:
    """One client with a filter that matches nothing rolled a good generation back.

    230 such requests were 230 empty answers.
    """
    counts = Counts()
    nothing = [{"field": "brand", "value": "no such brand"}]
    for number in range(230):
        counts.add(answer(hits=0), asked(f"q{number}", filters=nothing))
        counts.add(answer(hits=0), asked(f"q{number}", offset=10))
        counts.add(answer(hits=0), asked("the same"))
    (served,) = counts.served()
    assert (served.empty, sum(served.plain_by_client), sum(served.plain_empty_by_client)) == (690, 1, 1)


def test_a_client_counts_in_one_place_however_often_it_asks() -> None:
    counts = Counts()
    for number in range(50):
        counts.add(answer(status=Status.ERROR, hits=0), asked(f"q{number}", client="loud"))
        counts.add(answer(), asked("tv", client=f"c{number}"))
    (served,) = counts.served()
    assert sum(1 for n in served.plain_errors_by_client if n) == 1
    assert sum(served.plain_errors_by_client) == 50
    assert sum(1 for n in served.plain_by_client if n) > 30


def test_counts_begin_anew_when_a_pointer_makes_a_generation_serve_again() -> None:
    counts = Counts()
    counts.follow(pointer(1, 1))
    counts.add(answer(1))
    counts.follow(pointer(2, 2))
    counts.add(answer(2, hits=0))
    counts.follow(pointer(1, 3, "rollback"))
    counts.follow(pointer(2, 4))
    assert [(s.generation, s.sequence) for s in counts.served()] == []
    counts.add(answer(2))
    counts.follow(pointer(2, 5, "pause"))
    counts.add(answer(2))
    assert [(s.generation, s.sequence, s.answers, s.empty) for s in counts.served()] == [(2, 4, 2, 0)]


def test_the_recent_p95_is_none_without_answers() -> None:
    counts = Counts()
    assert counts.recent_p95_ms() is None
    for i in range(100):
        counts.add(answer(ms=float(i)))
    assert counts.recent_p95_ms() == 100.0


def test_recent_requests_come_back_oldest_first_and_queries_newest_first_without_repeats() -> None:
    recent = Recent(capacity=3)
    for text in ("a", "b", "c", "b"):
        recent.add(SearchRequest(request_id=text, user_query=text))
    assert [r.user_query for r in recent.last(2)] == ["c", "b"]
    assert recent.sample(3)[:2] == ["b", "c"]
    assert recent.last(0) == []


def test_what_rules_pin_or_hide_is_neither_found_nor_missed_by_a_generation():
    counts = Counts()
    counts.add(answer(1, hits=0), found=True)
    counts.add(answer(1), found=False)
    counts.add(answer(1, Status.ERROR, hits=0), found=False)
    served = counts.served()[0]
    assert (served.answers, served.empty, served.errors) == (3, 1, 1)


def test_a_comparison_counts_for_no_generation_and_is_not_asked_again():
    counts, recent = Counts(), Recent()
    for ranking in ("previous", "words"):
        compared = SearchRequest(request_id="r", user_query="tv", ranking=ranking)
        counts.add(answer(1, Status.ERROR), compared)
        recent.add(compared)
    assert (counts.served(), counts.recent_p95_ms(), recent.last(5)) == ([], None, [])

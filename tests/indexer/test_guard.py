from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.click_test import Clicked
from indexer.guard import Limits, quantile_ms, watched, why_roll_back
from schemas.releases import (
    CLIENT_BUCKETS,
    LATENCY_BOUNDS_MS,
    LivePointer,
    Promotion,
    Release,
    SearcherReport,
    Served,
)
from tests.indexer.builders import a_state
from tests.releases import NOW, a_release

LIMITS = Limits(
    window=timedelta(hours=1), silence=timedelta(seconds=60), alpha=0.01, alive=timedelta(seconds=30)
)
LATER = NOW + timedelta(minutes=5)
NO_CLICKS = (Clicked(), Clicked())
SLOWER = ((95.0, 22.0),) * 20


def pointer(**fields: object) -> LivePointer:
    made = a_state(a_release(1), a_release(2), live=2, previous=1, **fields).pointer
    assert made is not None
    return made


def latencies(ms: float, n: int) -> list[int]:
    place = next(i for i, bound in enumerate([*LATENCY_BOUNDS_MS, float("inf")]) if ms <= bound)
    return [n if i == place else 0 for i in range(len(LATENCY_BOUNDS_MS) + 1)]


def spread(total: int, clients: int = 100) -> list[int]:
    """So many answers, shared out among clients as evenly as can be."""
    return [total // clients + (i < total % clients) if i < clients else 0 for i in range(CLIENT_BUCKETS)]


def served(
    generation: int,
    answers: int = 1000,
    *,
    errors: int = 0,
    empty: int = 0,
    ms: float = 20.0,
    sequence: int = 1,
    turns: Sequence[tuple[float, float]] = (),
) -> Served:
    return Served(
        generation=generation,
        sequence=sequence,
        answers=answers,
        errors=errors,
        empty=empty,
        latency_counts=latencies(ms, answers),
        plain_by_client=spread(answers),
        plain_errors_by_client=spread(errors),
        plain_empty_by_client=spread(empty),
        turns=list(turns),
    )


def report(
    *counts: Served, generation: int | None = 2, at: datetime = LATER, **fields: object
) -> SearcherReport:
    return SearcherReport(
        searcher_id="s", generation=generation, sequence=1, ready=True, served=list(counts), at=at, **fields
    )


def why(
    *reports: SearcherReport,
    clicks: tuple[Clicked, Clicked] = NO_CLICKS,
    now: datetime = LATER,
    since: datetime = NOW,
) -> str | None:
    found = why_roll_back(pointer(), reports, clicks, now=now, since=since, limits=LIMITS)
    assert found is None or found[1].generation == 1
    return found[0] if found else None


def test_a_generation_that_does_as_well_stays() -> None:
    assert why(report(served(1, errors=3, empty=10), served(2, errors=4, empty=12))) is None


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (served(2, errors=6), "errors"),
        (served(2, empty=21), "no hits"),
        (served(2, ms=100.0, turns=SLOWER), "20 asked in turns 95 against 22 ms"),
    ],
)
def test_errors_empty_answers_and_latency_condemn_it(new: Served, reason: str) -> None:
    assert reason in (why(report(served(1), new)) or "")


def test_a_busy_moment_right_after_a_promotion_is_not_the_generation_s_and_errors_are() -> None:
    soon = NOW + timedelta(seconds=20)
    slow = report(served(1), served(2, ms=100.0, turns=SLOWER), at=soon)
    assert why(slow, now=soon) is None
    assert "errors" in (why(report(served(1), served(2, errors=6), at=soon), now=soon) or "")


def test_few_answers_condemn_nothing() -> None:
    assert why(report(served(1), served(2, 199, errors=199, empty=0, ms=5000.0))) is None


def test_a_small_slowdown_in_milliseconds_is_no_reason_however_large_the_ratio() -> None:
    assert why(report(served(1, ms=5.0), served(2, ms=30.0))) is None


def test_a_busy_machine_that_makes_both_slow_takes_no_generation_back() -> None:
    both_slow = ((160.0, 150.0), (90.0, 170.0), (400.0, 120.0), (80.0, 90.0)) * 5
    assert why(report(served(1), served(2, ms=400.0, turns=both_slow))) is None
    assert why(report(served(1), served(2, ms=400.0, turns=SLOWER[:14]))) is None, "too few turns say nothing"
    some = [report(served(1, 500), served(2, 500, ms=400.0, turns=SLOWER[:10])) for _ in range(2)]
    assert "20 asked in turns" in (why(*some) or ""), "those of all searchers count together"


def test_the_counts_of_all_searchers_are_added() -> None:
    parts = [
        report(served(1, 100), served(2, 100, errors=2)),
        report(served(1, 100), served(2, 100, errors=2)),
    ]
    assert "errors 2.0% of 200" in (why(*parts) or "")


def test_searchers_of_which_none_takes_the_new_generation_condemn_it_after_the_silence() -> None:
    before = report(generation=1, at=NOW - timedelta(seconds=5))
    stuck = report(generation=1, problem="generation 2: model is missing")
    assert why(before, now=NOW + timedelta(seconds=59)) is None
    assert "no searcher serves it" in (why(before, now=NOW + timedelta(seconds=61)) or "")
    assert "model is missing" in (why(stuck) or "")
    assert why(before, report(generation=2, at=NOW + timedelta(seconds=3))) is None
    assert why(before, since=LATER - timedelta(seconds=59)) is None, (
        "after a restart the silence counts from there"
    )


def test_without_any_searcher_there_is_nothing_to_protect() -> None:
    assert why() is None
    assert why(report(generation=1, at=NOW - timedelta(hours=1))) is None


def test_a_generation_goes_when_most_searchers_refuse_it_and_not_for_one_of_many() -> None:
    refusing = report(generation=1, refused=2, problem="generation 2: no hits for 9 of the last 50 requests")
    assert "no hits for 9" in (why(refusing) or "")
    assert "2 of 3 searchers refuse it" in (why(refusing, refusing, report()) or "")
    assert why(refusing, report()) is None, "half of them is not most"
    assert why(refusing.model_copy(update={"refused": 1}), report()) is None


def test_searchers_that_are_gone_say_nothing_any_more() -> None:
    dead = report(served(1), served(2, errors=500), at=LATER - timedelta(minutes=2))
    assert why(dead, report(served(1), served(2))) is None
    assert why(dead.model_copy(update={"refused": 2, "generation": 1}), report(served(1), served(2))) is None


def test_what_was_counted_before_the_pointer_is_of_another_promotion() -> None:
    """A generation let in again by force was undone within a tenth of a second, on its old counts.

    It had been rolled back before.
    """
    old = report(served(1), served(2, errors=500, ms=2000.0, sequence=0))
    assert why(old) is None
    assert "errors" in (why(report(served(1), served(2, errors=500, sequence=1))) or "")


def test_one_client_cannot_condemn_it_however_often_it_asks() -> None:
    loud = served(2, 300).model_copy(
        update={
            "plain_by_client": [3] * 100 + [230] + [0] * 27,
            "plain_empty_by_client": [0] * 100 + [230] + [0] * 27,
        }
    )
    assert why(report(served(1), loud)) is None
    many = loud.model_copy(update={"plain_empty_by_client": [1] * 100 + [0] * 28})
    assert "no hits" in (why(report(served(1), many)) or "")


def test_filtered_and_repeated_requests_condemn_nothing() -> None:
    filtered = served(2).model_copy(update={"answers": 1230, "empty": 230, "errors": 100})
    assert why(report(served(1), filtered)) is None


def test_with_few_clients_every_answer_counts() -> None:
    one = {"plain_by_client": [1000] + [0] * 127, "plain_errors_by_client": [20] + [0] * 127}
    assert "errors 2.0% of 1000" in (why(report(served(1), served(2).model_copy(update=one))) or "")


def test_fewer_clicks_condemn_it() -> None:
    assert "are clicked" in (why(report(), clicks=(Clicked(5000, 1500), Clicked(5000, 1200))) or "")
    assert why(report(), clicks=(Clicked(5000, 1500), Clicked(5000, 1490))) is None


def refreshed(at: datetime = LATER) -> LivePointer:
    """Generation 2 was promoted after 1, and refreshed twice since: 3, then 4."""
    both = [
        a_release(n, kind="refresh", collection="p_g000002", model="m2", model_sha256="sha2") for n in (3, 4)
    ]
    found = a_state(
        a_release(1),
        *both,
        live=4,
        previous=3,
        cause="refresh",
        at=at,
        refreshed=Promotion(sequence=1, at=NOW, before=a_release(1)),
    ).pointer
    assert found is not None
    return found


def test_a_promotion_is_watched_through_its_refreshes_against_what_was_before_it() -> None:
    """Every two minutes a pointer: each alone never has the answers that a verdict needs."""
    bad = report(served(1), served(2, errors=6), generation=4)

    def found(one: LivePointer, now: datetime = LATER) -> tuple[str, Release] | None:
        return why_roll_back(one, [bad], NO_CLICKS, now=now, since=NOW, limits=LIMITS)

    verdict = found(refreshed())
    assert verdict is not None
    assert ("errors" in verdict[0], verdict[1].generation) == (True, 1)
    later = NOW + timedelta(hours=1, minutes=1)
    bad = bad.model_copy(update={"at": later})
    assert found(refreshed(later), later) is None, "the promotion has lasted"


def test_a_refresh_that_nobody_can_serve_gives_way_to_what_was_before_it() -> None:
    refusing = report(generation=3, refused=4, problem="no hits for 9")
    verdict = why_roll_back(refreshed(), [refusing], NO_CLICKS, now=LATER, since=NOW, limits=LIMITS)
    assert verdict is not None
    assert verdict[1].generation == 3


def test_only_a_recent_promotion_is_watched() -> None:
    assert watched(pointer(), LATER, LIMITS)
    assert not watched(pointer(cause="rollback"), LATER, LIMITS)
    assert not watched(pointer(), NOW + timedelta(hours=2), LIMITS)
    assert not watched(a_state(a_release(1), live=1).pointer, LATER, LIMITS)
    assert not watched(None, LATER, LIMITS)


@given(st.lists(st.integers(0, 50), min_size=len(LATENCY_BOUNDS_MS) + 1, max_size=len(LATENCY_BOUNDS_MS) + 1))
def test_a_quantile_lies_within_the_bounds_and_rises_with_its_share(counts: list[int]) -> None:
    shares = [quantile_ms(counts, s) for s in (0.1, 0.5, 0.95, 1.0)]
    assert shares == sorted(shares)
    assert all(0.0 <= ms <= LATENCY_BOUNDS_MS[-1] for ms in shares)

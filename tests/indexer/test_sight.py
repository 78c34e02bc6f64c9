"""When the click guard says that it sees nothing."""

from indexer.sight import ENOUGH, LATE_S, Sight


def looked(*looks: tuple[int, int, float], sequence: int = 5) -> str | None:
    """What is said at the last of these looks: answers, sealed events, seconds."""
    sight, said = Sight(), None
    for answers, came, now in looks:
        said = sight.blind(sequence, answers, came, now)
    return said


MANY = 10 * ENOUGH


def test_a_guard_to_whom_no_search_comes_says_so() -> None:
    said = looked((0, 0, 0.0), (MANY, 0, LATE_S), (2 * MANY, 0, 2 * LATE_S))
    assert said is not None
    assert f"{MANY} searches were answered" in said
    assert "0 of them" in said


def test_what_was_answered_just_now_may_still_come() -> None:
    assert looked((0, 0, 0.0), (MANY, 0, LATE_S - 1)) is None
    assert looked((0, 0, 0.0), (MANY, 0, LATE_S)) is None


def test_few_answers_or_searches_that_come_are_no_alarm() -> None:
    assert looked((0, 0, 0.0), (ENOUGH - 1, 0, LATE_S), (ENOUGH, 0, 2 * LATE_S)) is None
    assert looked((0, 0, 0.0), (MANY, MANY // 20, LATE_S), (2 * MANY, MANY // 10, 2 * LATE_S)) is None


def test_what_was_answered_before_the_guard_looked_is_not_missed() -> None:
    """After a start the reports tell of answers whose events went by before."""
    assert looked((MANY, 0, 0.0), (MANY, 0, LATE_S), (MANY, 0, 2 * LATE_S)) is None


def test_each_promotion_is_looked_at_anew() -> None:
    sight = Sight()
    for number in range(3):
        said = sight.blind(5, number * MANY, 0, number * LATE_S)
    assert said is not None
    assert sight.blind(6, 0, 0, 3 * LATE_S) is None


def test_the_alarm_ends_when_searches_come() -> None:
    assert (
        looked((0, 0, 0.0), (MANY, 0, LATE_S), (2 * MANY, 0, 2 * LATE_S), (2 * MANY, MANY, 2 * LATE_S + 1))
        is None
    )

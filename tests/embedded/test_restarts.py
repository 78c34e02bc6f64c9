"""The wait before a restart."""

from hypothesis import given
from hypothesis import strategies as st

from embedded.restarts import next_delay

seconds = st.floats(0, 1e6, allow_nan=False)


def test_a_child_that_keeps_crashing_waits_twice_as_long_each_time_up_to_half_a_minute() -> None:
    delays: list[float] = []
    for _ in range(9):
        delays.append(next_delay(delays[-1] if delays else None, alive_s=0.1))
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_child_that_lived_for_a_minute_starts_anew() -> None:
    assert next_delay(30, alive_s=60) == 0.5
    assert next_delay(4, alive_s=59) == 8


@given(st.none() | st.floats(0.5, 30), seconds)
def test_the_wait_is_never_shorter_than_half_a_second_nor_longer_than_half_a_minute(
    previous: float | None, alive: float
) -> None:
    assert 0.5 <= next_delay(previous, alive) <= 30

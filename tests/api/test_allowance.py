"""How many records a key may send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.allowance import Allowance


def test_a_request_may_overdraw_and_the_next_waits_until_it_is_made_up_for():
    allowance = Allowance.full(10, 0)
    assert allowance.wait_s(0) == 0
    allowance.charge(1000)
    assert allowance.wait_s(0) == pytest.approx(99.1)
    assert allowance.wait_s(99) == pytest.approx(0.1)
    assert allowance.wait_s(99.2) == 0


def test_less_than_one_a_second_lets_one_in_at_a_time():
    allowance = Allowance.full(0.1, 0)
    assert allowance.wait_s(0) == 0
    allowance.charge(1)
    assert allowance.wait_s(5) == pytest.approx(5)
    assert allowance.wait_s(10) == 0


def test_nothing_is_saved_up():
    allowance = Allowance.full(5, 0)
    assert allowance.wait_s(1e6) == 0
    allowance.charge(5)
    assert allowance.wait_s(1e6) > 0


@given(
    st.floats(0.1, 1000),
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 1000)), min_size=1, max_size=50),
)
def test_on_average_the_rate_holds(per_s: float, asked: list[tuple[float, int]]):
    """Whatever is asked whenever, what is let in is the rate, the bucket, and one request more."""
    allowance, now, taken, last = Allowance.full(per_s, 0), 0.0, 0, 0
    for pause, records in asked:
        now += pause
        if allowance.wait_s(now) == 0:
            allowance.charge(records)
            taken, last = taken + records, records
    assert taken - last <= per_s * now + max(1, per_s) + 1e-6

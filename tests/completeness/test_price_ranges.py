"""Which prices are odd in their category."""

import numpy as np

from completeness.price_ranges import LEAST, odd_prices


def odd(prices: list[float], groups: list[int] | None = None) -> list[int]:
    own = np.array(groups or [1] * len(prices), np.int32)
    return [one.row for one in odd_prices(np.array(prices), own)]


def test_a_slipped_decimal_point_is_odd_and_a_wide_range_is_not() -> None:
    usual = [10.0 + n for n in range(30)]
    assert odd([*usual, 2499.0]) == [30]
    assert odd([*usual, 0.02, 2499.0, 60.0]) == [30, 31]
    assert odd([2.0**n for n in range(30)]) == []


def test_equal_prices_leave_room_for_others() -> None:
    assert odd([5.0] * 30 + [15.0]) == []
    assert odd([5.0] * 30 + [500.0]) == [30]


def test_groups_are_apart_and_too_small_ones_say_nothing() -> None:
    assert odd([1.0] * 25 + [1000.0] * 25, [1] * 25 + [2] * 25) == []
    assert odd([1.0] * (LEAST - 2) + [1000.0]) == []
    assert odd([1.0] * 30 + [1000.0], [1] * 30 + [0]) == []


def test_what_is_no_price_is_none() -> None:
    assert odd([1.0] * 30 + [0.0, float("nan")]) == []
    assert odd([]) == []

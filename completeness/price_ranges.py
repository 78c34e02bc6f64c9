"""Prices that lie far from those of their category. Pure."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LEAST = 20  # prices that a category must have, to say what is usual in it
_FENCE = 3.0
_NARROWEST = np.log(1.5)  # where half of all prices are equal, up to 4.5 times as much is still usual


class OddPrice(NamedTuple):
    """A row, and between which prices the middle half of its category lies."""

    row: int
    low: float
    high: float


def odd_prices(prices: npt.NDArray[np.float64], groups: npt.NDArray[np.int32]) -> list[OddPrice]:
    """Return the rows whose price is beyond Tukey's outer fences of its group, the furthest first.

    On the logarithm. A price of NaN, or of 0, is none; group 0 is no group.
    """
    there = np.flatnonzero((prices > 0) & (groups > 0))
    rows = there[np.argsort(groups[there], kind="stable")]
    found: list[tuple[float, OddPrice]] = []
    for own in np.split(rows, np.flatnonzero(np.diff(groups[rows])) + 1):
        if len(own) < LEAST:
            continue
        logs = np.log(prices[own])
        low, high = np.quantile(logs, (0.25, 0.75))
        reach = _FENCE * max(high - low, _NARROWEST)
        beyond = np.maximum(low - logs, logs - high) - reach
        found += [
            (float(beyond[n]), OddPrice(int(own[n]), float(np.exp(low)), float(np.exp(high))))
            for n in np.flatnonzero(beyond > 0)
        ]
    return [odd for _, odd in sorted(found, key=lambda one: (-one[0], one[1].row))]

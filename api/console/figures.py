"""Where the points, bars and lines of small figures lie; templates draw them as SVG. Pure.

Colours are classes of the style sheet, so that they follow light and dark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDE = 200.0  # of an interval and of a bar
_CHART_WIDE, _CHART_TALL, _LEFT, _RIGHT, _TOP, _BOTTOM = 640.0, 200.0, 44.0, 12.0, 10.0, 30.0


@dataclass(frozen=True)
class Whisker:
    """A difference and its interval, on a scale around zero, or a value: places from 0 to ``WIDE``."""

    kind: str  # gain and loss are sure, unsure is not; value is no difference
    low: float
    mean: float
    high: float


@dataclass(frozen=True)
class Share:
    """What one part adds to a score: a piece of a bar."""

    name: str
    value: float
    begin: float
    wide: float


@dataclass(frozen=True)
class Measured:
    """One measured value with its interval, under a label."""

    label: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ChartDot:
    """One measured value in a chart."""

    of: Measured
    x: float
    y: float
    low_y: float
    high_y: float


@dataclass(frozen=True)
class Chart:
    """Lines over the same labels, the oldest on the left, and the heights of a few values."""

    lines: Mapping[str, Sequence[ChartDot]]
    ticks: Sequence[tuple[float, float]]
    wide: float = _CHART_WIDE
    tall: float = _CHART_TALL


def whisker(low: float | None, mean: float | None, high: float | None, reach: float) -> Whisker | None:
    """Return a difference with its interval, from ``-reach`` to ``reach``; None where one lacks."""
    if low is None or mean is None or high is None or reach <= 0:
        return None

    def x(value: float) -> float:
        return round(WIDE / 2 * (1 + max(-1.0, min(1.0, value / reach))), 1)

    return Whisker("gain" if low > 0 else "loss" if high < 0 else "unsure", x(low), x(mean), x(high))


def spread(low: float, mean: float, high: float, least: float, most: float) -> Whisker:
    """Return a value with its interval on the scale from ``least`` to ``most``; it is no difference."""
    reach = most - least

    def x(value: float) -> float:
        return round(WIDE * max(0.0, min(1.0, (value - least) / reach)), 1) if reach > 0 else WIDE / 2

    return Whisker("value", x(low), x(mean), x(high))


def shares(parts: Mapping[str, float], greatest: float) -> list[Share]:
    """Return what each part adds to a score, side by side; ``greatest`` is the score that fills the bar.

    >>> [(s.name, s.begin, s.wide) for s in shares({"dense": 0.5, "words": 0.25}, 1.0)]
    [('dense', 0.0, 100.0), ('words', 100.0, 50.0)]
    """
    found, at = list[Share](), 0.0
    for name, value in parts.items():
        wide = round(max(0.0, value) / greatest * WIDE, 1) if greatest > 0 else 0.0
        found.append(Share(name, value, round(at, 1), wide))
        at += wide
    return found


def chart(series: Mapping[str, Sequence[Measured]]) -> Chart | None:
    """Return lines with intervals; None where there are fewer than two points."""
    every = [one for line in series.values() for one in line]
    count = max((len(line) for line in series.values()), default=0)
    if count < 2:
        return None
    low, high = min(one.low for one in every) - 0.01, max(one.high for one in every) + 0.01
    reach = high - low or 1.0  # of two values of 1e300 nothing is left

    def y(value: float) -> float:
        return round(_TOP + (high - value) / reach * (_CHART_TALL - _TOP - _BOTTOM), 1)

    def dot(place: int, one: Measured) -> ChartDot:
        x = round(_LEFT + place * (_CHART_WIDE - _LEFT - _RIGHT) / (count - 1), 1)
        return ChartDot(one, x, y(one.mean), y(one.low), y(one.high))

    lines = {name: [dot(place, one) for place, one in enumerate(line)] for name, line in series.items()}
    return Chart(lines, [(value, y(value)) for value in (low, (low + high) / 2, high)])

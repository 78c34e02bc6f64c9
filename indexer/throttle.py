"""Decide how long a build waits between two steps, from what the searchers report. Pure.

Doubling while searches are slow, halving while they are not: serving wins quickly, and a build still ends.
One slow searcher of many is its own trouble, not that of the build: the median decides.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from statistics import median_high

from schemas.releases import SearcherReport

FLOOR_MS = 20.0
FRESH = timedelta(seconds=6)


def observed_p95(reports: Iterable[SearcherReport], now: datetime) -> float | None:
    """Return the median recent p95 of the searchers that were heard of lately, of two the slower.

    None when nobody was asked anything.
    """
    heard = [r.recent_p95_ms for r in reports if r.recent_p95_ms is not None and now - r.at <= FRESH]
    return median_high(heard) if heard else None


def next_pause_ms(
    pause_ms: float,
    observed_ms: float | None,
    calm_ms: float | None,
    *,
    least: float,
    most: float,
    slowdown: float,
) -> float:
    """Return the next wait. ``calm_ms`` is the latency before the build; it counts as ``FLOOR_MS`` at least.

    >>> next_pause_ms(5, 90, 30, least=5, most=2000, slowdown=2)
    50.0
    >>> next_pause_ms(400, 31, 30, least=5, most=2000, slowdown=2)
    200.0
    """
    if observed_ms is not None and observed_ms > slowdown * max(calm_ms or 0.0, FLOOR_MS):
        return min(float(max(most, least)), max(50.0, pause_ms * 2))
    return max(float(least), pause_ms / 2)

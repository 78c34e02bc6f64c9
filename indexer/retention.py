"""Decide which generations lose their collection.

Pure; live and previous never do, nor what a searcher still reports.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from indexer.state import State
from schemas.releases import Release, ReleaseState, SearcherReport


@dataclass(frozen=True)
class Retention:
    """Generations to mark as retired, and retired ones to drop now."""

    retire: list[Release]
    drop: list[Release]


def retain(
    state: State,
    reports: Iterable[SearcherReport],
    *,
    keep: int,
    grace: timedelta,
    searcher_timeout: timedelta,
    now: datetime,
) -> Retention:
    """Return what to retire and what to drop.

    ``keep`` generations stay: live, previous, then the newest. The others are retired at once, and dropped
    when ``grace`` has passed since and no searcher heard of within ``searcher_timeout`` serves them.
    """
    held = sorted(state.holding, key=lambda r: (r.generation not in state.pointed, -r.generation))
    kept = {r.generation for r in held[:keep]} | state.pointed
    used = {report.generation for report in reports if now - report.at <= searcher_timeout}
    surplus = [r for r in held if r.generation not in kept]
    return Retention(
        retire=[r for r in surplus if r.state == ReleaseState.RELEASED],
        drop=[
            r
            for r in surplus
            if r.state == ReleaseState.RETIRED and now - r.at >= grace and r.generation not in used
        ],
    )

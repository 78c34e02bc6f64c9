"""Decide which generations lose their collection.

Pure; what the live pointer names never does, nor what a searcher still reports. A refresh has the collection
of the generation that it refreshes: they are kept and dropped together, so no number of refreshes drives an
earlier generation out. Of its refreshes only the newest can be gone back to.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from indexer.state import UNFINISHED, State
from schemas.releases import Release, ReleaseState, SearcherReport

REMEMBERED = 100  # refreshes that do not stand any more and still have a record


@dataclass(frozen=True)
class Retention:
    """Generations to mark as retired, retired ones to drop now, and refreshes whose record may go."""

    retire: list[Release]
    drop: list[Release]
    forget: list[Release]


def retain(
    state: State,
    reports: Iterable[SearcherReport],
    *,
    keep: int,
    refreshes: int,
    grace: timedelta,
    searcher_timeout: timedelta,
    now: datetime,
) -> Retention:
    """Return what to retire and what to drop.

    ``keep`` collections stay: those that the live pointer names, then the newest; of each the generation that
    built it and its newest ``refreshes``. The others are retired at once, and dropped when ``grace`` has
    passed since and no searcher heard of within ``searcher_timeout`` serves them, or another one of a
    collection that is not kept.
    """
    held = sorted(state.holding, key=lambda r: (r.generation not in state.pointed, -r.generation))
    pointed = {r.collection for r in held if r.generation in state.pointed}
    collections = {*list(dict.fromkeys(r.collection for r in held))[:keep], *pointed}
    kept = set(state.pointed)
    for collection in collections:
        own = [r for r in state.of_collection(collection) if r in held]
        kept |= {r.generation for r in own if r.kind == "full"}
        kept |= {r.generation for r in [r for r in own if r.kind == "refresh"][:refreshes]}
    used = {report.generation for report in reports if now - report.at <= searcher_timeout}
    in_use = {r.collection for r in held if r.generation in used} - collections
    surplus = [r for r in held if r.generation not in kept]
    ended = [r for r in state.refreshes_newest_first() if r not in held and r.state not in UNFINISHED]
    return Retention(
        retire=[r for r in surplus if r.state == ReleaseState.RELEASED],
        drop=[
            r
            for r in surplus
            if r.state == ReleaseState.RETIRED
            and now - r.at >= grace
            and r.generation not in used
            and r.collection not in in_use
        ],
        forget=ended[REMEMBERED:],
    )

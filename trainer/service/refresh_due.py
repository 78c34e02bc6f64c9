"""When a refresh begins that nobody has asked for, what it does, and which folders may go. Pure.

New pairs wait for their time; a model that has just been promoted, and a shopper who is to be forgotten, for
none. An operator holds all of it. What failed is tried again after longer and longer pauses.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict

from retrieval.ranking import weighed
from schemas.releases import LivePointer, Ranking, Release, ReleaseState
from trainer.data.snapshot import FORGETTING_S

FORGETTING_EVERY_S = 120.0  # while pairs may be losing a shopper: refreshes that are turned off, the store
LONGEST_PAUSE_S = 3600.0
Ends = Mapping[str, int]
_BEGUN = frozenset({ReleaseState.BUILDING, ReleaseState.VERIFIED})
_STANDING = frozenset(
    {ReleaseState.BUILDING, ReleaseState.VERIFIED, ReleaseState.RELEASED, ReleaseState.RETIRED}
)


class Tried(BaseModel):
    """What the last refresh with a verdict knew: the file ``tried.json``, so that a restart knows it too.

    ``ends``: where ``pairs`` ended. ``generation``: what served after it. ``erased``: where the requests to
    forget ended when it began, or when the first trainer looked; ``seen``: where they ended when the newest
    was seen, ``erased_at``: when; ``cleared_at``: when snapshots and reports were removed after it.
    ``refitted_at``: when the last one began that fitted coefficients and a ranker, taken or not.
    """

    model_config = ConfigDict(frozen=True)

    ends: dict[str, int] = {}
    generation: int | None = None
    erased: dict[str, int] | None = None
    seen: dict[str, int] | None = None
    erased_at: datetime | None = None
    cleared_at: datetime | None = None
    refitted_at: datetime | None = None


@dataclass(frozen=True)
class Failures:
    """How often in a row a refresh of one pointer came to no verdict, or was refused by the indexer.

    ``why``: in words without numbers, so that the same reason is told once.
    """

    count: int = 0
    sequence: int = 0
    why: str = ""

    def again(self, pointer: LivePointer | None, why: str) -> Self:
        """Return it after one more, of what served when it began."""
        sequence = pointer.sequence if pointer else 0
        return type(self)(self.since(pointer) + 1, sequence, re.sub(r"\d+", "", why))

    def since(self, pointer: LivePointer | None) -> int:
        """Return the number under this pointer: whoever resumes, unpins or promotes wants it tried again."""
        return self.count if pointer is not None and pointer.sequence == self.sequence else 0


@dataclass(frozen=True)
class Forgetting:
    """``asked``: by somebody since the last refresh began. ``lately``: pairs may be about to follow."""

    asked: bool = False
    lately: bool = False


def clears(tried: Tried, *, now: datetime) -> bool:
    """Say whether snapshots and reports must go from the store, whatever becomes of refreshes.

    At once, and some times until ``FORGETTING_S`` later: what was put meanwhile may tell of the shopper.
    """
    if tried.erased_at is None or tried.cleared_at is None:
        return tried.erased_at is not None
    last = tried.erased_at + timedelta(seconds=FORGETTING_S)
    again = tried.cleared_at + timedelta(seconds=FORGETTING_EVERY_S)
    return tried.cleared_at < last and now >= min(again, last)


def held(pointer: LivePointer) -> str | None:
    """Return why what serves must not be refreshed, or None.

    A refresh that was rolled back bars the next one, until other weights serve or somebody forces it.
    """
    before = pointer.previous
    if pointer.pinned or pointer.paused:
        return "pinned" if pointer.pinned else "paused"
    if (
        before is not None
        and before.kind == "refresh"
        and before.rolled_back is not None
        and before.collection == pointer.live.collection
    ):
        return f"refresh {before.generation} was rolled back by {before.rolled_back.actor}"
    return None


def pause_s(every_s: float, failures: int) -> float:
    """Return how long to rest: twice as long after every failure, up to an hour.

    >>> [pause_s(120, failures) for failures in (0, 1, 2, 9)]
    [120.0, 240.0, 480.0, 3600.0]
    """
    return float(max(every_s, min(every_s * 2.0 ** min(failures, 30), LONGEST_PAUSE_S)))


def due(
    pointer: LivePointer | None,
    ends: Ends,
    tried: Tried,
    *,
    rested_s: float,
    every_s: float,
    failures: Failures = Failures(),
    forgetting: Forgetting = Forgetting(),
) -> bool:
    """Say whether a refresh should begin that nobody has asked for.

    New pairs wait for ``every_s`` (0: for ever, but where somebody is to be forgotten). A model that begins
    to serve does not wait: it remembers only what a run was allowed to. ``rested_s``: since the last refresh,
    which so takes at most half of the time; infinite before the first.
    """
    period_s = every_s or (FORGETTING_EVERY_S if forgetting.asked or forgetting.lately else 0.0)
    if not period_s or pointer is None or held(pointer) or not sum(ends.values()):
        return False
    failed = failures.since(pointer)
    rested = rested_s >= pause_s(period_s, failed)
    if every_s and pointer.live.kind == "full" and pointer.live.generation != tried.generation:
        return rested or not failed
    return ends != tried.ends and (rested or (forgetting.asked and not failed))


def refits(pointer: LivePointer | None, tried: Tried, *, now: datetime, every: timedelta) -> bool:
    """Say whether a refresh that nobody has asked for also fits coefficients and a ranker.

    It does where the last that did began ``every`` ago or more, or lies in the future, as after a clock was
    set back. Where the cosine alone serves each does: what a refresh remembers would count for nothing.
    """
    if pointer is None or not weighed(pointer.live.ranking) or tried.refitted_at is None:
        return True
    return not timedelta(0) <= now - tried.refitted_at < every


def may_serve(pointer: LivePointer, releases: Iterable[Release]) -> list[Ranking]:
    """Return the rankings whose memories stay when somebody is forgotten: what serves, or is being built."""
    return [pointer.live.ranking, *(r.ranking for r in releases if r.state in _BEGUN)]


def surplus(folders: Iterable[str], releases: Iterable[Release], *, keep: int) -> list[str]:
    """Return the folders of ended refreshes that may go: no release that stands is theirs, nor are they new.

    Ids sort by time.
    """
    standing = {r.run_id for r in releases if r.state in _STANDING}
    return [name for name in sorted(folders, reverse=True) if name not in standing][keep:]

"""Decide what a start has to repair.

Builds that a crash left, collections that nobody owns, the operators' alias. Pure: the truth is the topic
``releases``; Milvus is made to agree with it, never the other way.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from indexer.changes import taken_out
from indexer.state import HOLDING, UNFINISHED, State, failed, moved
from schemas.releases import Release, ReleaseFailure, ReleaseState

MAX_ATTEMPTS = 3
GIVEN_UP = "the indexer ended while it was built, in"


@dataclass(frozen=True)
class Recovery:
    """``records`` to write, ``orphans`` to drop, and the collection the ``alias`` should name.

    ``resume`` is the build to go on with.
    """

    records: list[Release]
    orphans: list[str]
    alias: str | None
    resume: Release | None


def recover(state: State, collections: Iterable[str], now: datetime) -> Recovery:
    """Return the repairs, given the collections of this deployment that are there.

    A generation that was published but not recorded so is recorded, and so is a rollback. The newest other
    unfinished one goes on where it stopped, with what its collection holds, at most ``MAX_ATTEMPTS`` times in
    all: a build that kills the process must not do so for ever. A refresh does not go on: the trainer makes
    another. A generation that does not serve and has lost its collection is dropped; those of the live and
    the previous one are built again.
    """
    there = set(collections)
    records: list[Release] = []
    resume: Release | None = None
    building = state.building
    ends = [r for r in (state.pointer.live, state.pointer.previous) if r] if state.pointer else []
    out = taken_out(state.pointer) if state.pointer else None
    if out and state.releases[out.generation].rolled_back is None:
        state = state.with_release(
            state.releases[out.generation].model_copy(update={"rolled_back": out.rolled_back})
        )
        records.append(state.releases[out.generation])
    for release in sorted(state.releases.values(), key=lambda r: r.generation):
        ends_there = any(release.generation == end.generation for end in ends)
        if ends_there and release.state != ReleaseState.RELEASED:
            records.append(moved(release, ReleaseState.RELEASED, now))
        elif (
            release.state in UNFINISHED
            and building
            and release.generation == building.generation
            and release.attempts < MAX_ATTEMPTS
        ):
            resume = moved(release, ReleaseState.BUILDING, now).model_copy(
                update={"attempts": release.attempts + 1}
            )
            records.append(resume)
        elif release.state in UNFINISHED:
            records.append(
                failed(release, ReleaseFailure.GIVEN_UP, now, f"{GIVEN_UP} {release.attempts} attempts")
            )
        elif release.state in HOLDING and release.collection not in there | {r.collection for r in ends}:
            records.append(moved(release, ReleaseState.DROPPED, now, "its collection was lost"))
    after = state
    for record in records:
        after = after.with_release(record)
    owned = {r.collection for r in [*after.holding, *([resume] if resume else [])]}
    alias = state.pointer.live.collection if state.pointer else None
    return Recovery(records, sorted(there - owned), alias, resume)

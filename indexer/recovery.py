"""Decide what a start has to repair: builds that a crash left, collections that nobody owns, the operators' alias.

Pure: the truth is the topic ``releases``; Milvus is made to agree with it, never the other way.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from indexer.state import HOLDING, UNFINISHED, State, moved
from schemas.releases import DeploymentCommand, Release, ReleaseState

MAX_ATTEMPTS = 3
INTERRUPTED = "interrupted by a restart of the indexer"


@dataclass(frozen=True)
class Recovery:
    """``records`` to write, ``orphans`` to drop, the collection the ``alias`` should name, and the command to carry out ``again``."""

    records: list[Release]
    orphans: list[str]
    alias: str | None
    again: DeploymentCommand | None


def recover(state: State, collections: Iterable[str], now: datetime) -> Recovery:
    """Return the repairs, given the collections of this deployment that are there.

    A generation that was published but not recorded so is recorded. Any other unfinished one is failed and its command tried again
    as a new generation, at most ``MAX_ATTEMPTS`` times: a build that kills the process must not do so for ever. A generation that
    does not serve and has lost its collection is dropped; the live and the previous one are built again from the catalogue.
    """
    there = set(collections)
    records: list[Release] = []
    again: DeploymentCommand | None = None
    for release in sorted(state.releases.values(), key=lambda r: r.generation):
        pointed = release.generation in state.pointed
        if pointed and release.state != ReleaseState.RELEASED:
            records.append(moved(release, ReleaseState.RELEASED, now))
        elif release.state in UNFINISHED:
            records.append(moved(release, ReleaseState.FAILED, now, INTERRUPTED))
            again = release.command
        elif not pointed and release.state in HOLDING and release.collection not in there:
            records.append(moved(release, ReleaseState.DROPPED, now, "its collection was lost"))
    after = state
    for record in records:
        after = after.with_release(record)
    if again and _attempts(after, again.command_id) >= MAX_ATTEMPTS:
        again = None
    owned = {r.collection for r in after.holding}
    alias = state.pointer.live.collection if state.pointer else None
    return Recovery(records, sorted(there - owned), alias, again)


def _attempts(state: State, command_id: str) -> int:
    return sum(r.command is not None and r.command.command_id == command_id for r in state.releases.values())

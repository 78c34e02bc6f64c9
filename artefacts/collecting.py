"""Which folders of the store nobody needs any more, by what generations and runs name. Pure.

A generation that stands needs its own, and the snapshot and report of its run; of the newest full ones that
ever served the models stay as well, so that one of them can be built again, and of the newest runs snapshot
and report.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from artefacts.folders import AGE, KINDS, KINDS_OF_RUNS, Kind, StoredFolders, folders_in, is_of, names_of
from schemas.releases import Ranking, Release, ReleaseState
from schemas.training import TrainingRun

_MEMORIES: tuple[Kind, ...] = ("memories",)
STANDING = frozenset(
    {ReleaseState.BUILDING, ReleaseState.VERIFIED, ReleaseState.RELEASED, ReleaseState.RETIRED}
)
EARLIER = 5  # full generations without a collection whose folders stay
KEPT_RUNS = 10  # the newest whose snapshots and reports stay, beside those of what stands


def needed(releases: Iterable[Release], runs: Iterable[TrainingRun] = ()) -> set[str]:
    """Return the names of the folders that generations and runs need."""
    known = list(releases)
    earlier = [r for r in known if r.kind == "full" and r.state is ReleaseState.DROPPED]
    earlier.sort(key=lambda r: r.generation, reverse=True)
    standing = [r for r in known if r.state in STANDING]
    kept = standing + earlier[:EARLIER]
    told = sorted((run for run in runs if evidence_of(run)), key=lambda run: run.run_id, reverse=True)
    serve = {r.run_id for r in standing}
    proven = told[:KEPT_RUNS] + [run for run in told if run.run_id in serve]
    return set().union(*(names_of(r) for r in kept), *map(evidence_of, proven))


def evidence_of(run: TrainingRun) -> set[str]:
    """Return the names of the folders by which a run's verdict can be understood and derived again."""
    named: dict[Kind, str | None] = {"snapshots": run.snapshot, "reports": run.report}
    return {name for kind, name in named.items() if name is not None and is_of(kind, name)}


def collect(
    store: StoredFolders, releases: Collection[Release], runs: Iterable[TrainingRun], *, now: datetime
) -> list[str]:
    """Remove what nobody needs and what was put more than ``AGE`` ago; return the names.

    Without a single generation nothing is removed: then it is not known what is needed.
    """
    if not releases:
        return []
    return store.remove(needed(releases, runs), kinds=KINDS, before=now - AGE)


def forget(store: StoredFolders, serving: Iterable[Ranking], *, now: datetime) -> list[str]:
    """Remove every memory but those that serve: somebody is to be forgotten.

    What is in the store is never changed, so nobody can be taken out of it.
    """
    kept = set().union(*(folders_in(one) for one in serving))
    return store.remove(kept, kinds=_MEMORIES, before=now)


def forget_runs(store: StoredFolders, *, now: datetime) -> list[str]:
    """Remove all snapshots and reports: somebody is to be forgotten."""
    return store.remove((), kinds=KINDS_OF_RUNS, before=now)

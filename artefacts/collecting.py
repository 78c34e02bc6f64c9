"""Which folders of the store nobody needs any more, by what the generations of its deployment name. Pure.

A generation that stands needs its own; of the newest full ones that ever served the models stay as well, so
that one of them can be built again.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from artefacts.folders import AGE, KINDS, Kind, StoredFolders, folders_in, names_of
from schemas.releases import Ranking, Release, ReleaseState

STANDING = frozenset(
    {ReleaseState.BUILDING, ReleaseState.VERIFIED, ReleaseState.RELEASED, ReleaseState.RETIRED}
)
_OF_SHOPPERS: tuple[Kind, ...] = ("memories",)
EARLIER = 5  # full generations without a collection whose folders stay


def needed(releases: Iterable[Release]) -> set[str]:
    """Return the names of the folders that the generations need."""
    known = list(releases)
    earlier = [r for r in known if r.kind == "full" and r.state is ReleaseState.DROPPED]
    earlier.sort(key=lambda r: r.generation, reverse=True)
    kept = [r for r in known if r.state in STANDING] + earlier[:EARLIER]
    return set().union(*(names_of(r) for r in kept))


def collect(store: StoredFolders, releases: Collection[Release], *, now: datetime) -> list[str]:
    """Remove what nobody needs and what was put more than ``AGE`` ago; return the names.

    Without a single generation nothing is removed: then it is not known what is needed.
    """
    if not releases:
        return []
    return store.remove(needed(releases), kinds=KINDS, before=now - AGE)


def forget(store: StoredFolders, serving: Iterable[Ranking], *, now: datetime) -> list[str]:
    """Remove every memory but those of the rankings that serve: somebody is to be forgotten."""
    kept = set().union(*(folders_in(one) for one in serving))
    return store.remove(kept, kinds=_OF_SHOPPERS, before=now)

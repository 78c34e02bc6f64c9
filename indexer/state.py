"""What the topic ``releases`` says: every generation and the live pointer.

The one truth after a restart; pure data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from broker.release_log import ReleaseLog
from schemas.releases import LivePointer, Release, ReleaseFailure, ReleaseState, RolledBack

HOLDING = frozenset({ReleaseState.RELEASED, ReleaseState.RETIRED})
SERVED = HOLDING | {ReleaseState.DROPPED}
UNFINISHED = frozenset({ReleaseState.BUILDING, ReleaseState.VERIFIED})
FAR = 10**9  # no deployment comes so far; above the greatest number that is read nothing could be built


@dataclass(frozen=True)
class State:
    """All generations by number, and the live pointer: None until the first generation is published."""

    releases: Mapping[int, Release] = field(default_factory=lambda: MappingProxyType({}))
    pointer: LivePointer | None = None

    @property
    def live(self) -> int | None:
        """The generation that serves."""
        return self.pointer.live.generation if self.pointer else None

    @property
    def pointed(self) -> frozenset[int]:
        """What the live pointer names: these generations always keep their collection."""
        return frozenset(r.generation for r in self.pointer.named) if self.pointer else frozenset()

    @property
    def next_generation(self) -> int:
        """One more than any generation ever begun: a number is never used twice.

        What is far off is a stranger's, and only stepped over.
        """
        number = max((n for n in self.releases if n < FAR), default=0) + 1
        while number in self.releases:
            number += 1
        return number

    @property
    def building(self) -> Release | None:
        """The full generation that is being built, if any."""
        return next((r for r in self._newest_first() if r.state in UNFINISHED and r.kind == "full"), None)

    @property
    def holding(self) -> list[Release]:
        """The generations whose collection can serve and follows the catalogue, newest first."""
        return [r for r in self._newest_first() if r.state in HOLDING]

    def rolled_back(self, sha256: str) -> Release | None:
        """The newest generation with which these weights were taken out of service and not let in since."""
        if self.pointer and self.pointer.live.model_sha256 == sha256:
            return None
        return next(
            (
                r
                for r in self._newest_first()
                if r.model_sha256 == sha256 and r.rolled_back and r.rolled_back.weights
            ),
            None,
        )

    def last_refresh(self, collection: str) -> Release | None:
        """The newest refresh that has served on a collection."""
        served = (r for r in self._newest_first() if r.kind == "refresh" and r.state in SERVED)
        return next((r for r in served if r.collection == collection), None)

    def refreshes_newest_first(self) -> list[Release]:
        """Every refresh that has a record."""
        return [r for r in self._newest_first() if r.kind == "refresh"]

    def of_collection(self, collection: str) -> list[Release]:
        """The generation that built a collection and its refreshes, newest first."""
        return [r for r in self._newest_first() if r.collection == collection]

    @property
    def last_rollbacks(self) -> list[RolledBack]:
        """Every rollback that still counts, of the newest generation first."""
        return [r.rolled_back for r in self._newest_first() if r.rolled_back]

    def with_release(self, release: Release) -> "State":
        """Return the state after this record of a generation."""
        return replace(self, releases=MappingProxyType({**self.releases, release.generation: release}))

    def without(self, generation: int) -> "State":
        """Return the state without the record of a generation."""
        left = {number: r for number, r in self.releases.items() if number != generation}
        return replace(self, releases=MappingProxyType(left))

    def with_pointer(self, pointer: LivePointer) -> "State":
        """Return the state after this pointer."""
        return replace(self, pointer=pointer)

    def _newest_first(self) -> list[Release]:
        return sorted(self.releases.values(), key=lambda r: -r.generation)


def state_of(log: ReleaseLog) -> State:
    """Return the state as ``releases`` tells it.

    The pointer's releases are whole: where the record of one is bad, or names another collection, what the
    pointer says of it holds.
    """
    pointer = log.pointer
    releases = {r.generation: r for r in log.releases}
    for one in pointer.named if pointer else ():
        if one.generation not in releases or releases[one.generation].collection != one.collection:
            releases[one.generation] = one
    return State(MappingProxyType(releases), pointer)


def moved(release: Release, to: ReleaseState, now: datetime, error: str | None = None) -> Release:
    """Return the record of a generation that takes another state now."""
    return release.model_copy(update={"state": to, "at": now, "error": error, "failure": None})


def failed(release: Release, why: ReleaseFailure, now: datetime, error: str) -> Release:
    """Return the record of a generation that is not to serve, with the reason as a code and in words."""
    return moved(release, ReleaseState.FAILED, now, error).model_copy(update={"failure": why})

"""Data for the tests of the indexer."""

from typing import Any

from broker.records import Record
from broker.release_log import ReleaseLog
from indexer.state import State
from schemas.releases import Candidate, DeploymentCommand, LivePointer, Release
from tests.releases import NOW


def a_command(action: str, command_id: str = "c1", **fields: Any) -> DeploymentCommand:
    return DeploymentCommand(command_id=command_id, action=action, at=NOW, **{"actor": "ann", **fields})


def a_candidate(sha256: str = "new") -> Candidate:
    return Candidate(model="m", model_sha256=sha256, dim=4)


def a_state(
    *releases: Release, live: int | None = None, previous: int | None = None, **pointer: Any
) -> State:
    by_generation = {r.generation: r for r in releases}
    state = State()
    for release in releases:
        state = state.with_release(release)
    if live is None:
        return state
    return state.with_pointer(
        LivePointer(
            sequence=1,
            live=by_generation[live],
            previous=by_generation.get(previous or 0),
            **{"cause": "promote", "at": NOW, **pointer},
        )
    )


def a_log(*records: tuple[bytes, bytes | None]) -> ReleaseLog:
    """Return what ``releases`` says after these keys and values."""
    return ReleaseLog("main", [Record("releases", 0, at, 0, *record) for at, record in enumerate(records)])

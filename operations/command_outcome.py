"""What became of a deployment command, by what the indexer has written since. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.releases import DeploymentCommand, LivePointer, Release, ReleaseFailure, ReleaseState


@dataclass(frozen=True)
class Outcome:
    """Whether a command was carried out, or refused and why."""

    done: bool
    reasons: list[str] = field(default_factory=list)


def aborted(command: DeploymentCommand, release: Release) -> bool:
    """Say whether this generation's end may be what an ``abort`` has asked for."""
    return (
        command.action == "abort" and release.failure is ReleaseFailure.ABORTED and release.at >= command.at
    )


def other_model(pointer: LivePointer | None, releases: Iterable[Release]) -> int | None:
    """Return the generation that a rollback of the model goes to, or None.

    What served before the live weights did, which searchers hold open; where the pointer does not say, or it
    cannot serve, the newest one of other weights that can.
    """
    if pointer is None:
        return None
    fit = {
        r.generation
        for r in releases
        if r.state in {ReleaseState.RELEASED, ReleaseState.RETIRED}
        and r.model_sha256 != pointer.live.model_sha256
        and r.rolled_back is None
    }
    named = [r.generation for r in pointer.named if r.generation in fit]
    return named[-1] if named else max(fit, default=None)


def rollback_note(pointer: LivePointer | None, before: int | None) -> str:
    """Say that a rollback has undone a refresh and no promotion: who wanted the model gone must know.

    ``before``: where a rollback of the model would go. Nothing where another model serves now.
    """
    past = pointer.previous if pointer else None
    if pointer is None or past is None or past.model_sha256 != pointer.live.model_sha256:
        return ""
    other = (
        f"`searchloop rollback --model` goes back to another one, generation {before}"
        if before
        else "no generation of another model can serve"
    )
    return (
        f"only the refresh was undone: the model of generation {past.generation} serves on, and no other "
        f"refresh of it follows unless forced; {other}"
    )

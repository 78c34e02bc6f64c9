"""Decide what a deployment command does: the rules of promote, rollback, pause and pin.

Pure. Compare-and-set: a command that expects another live generation is stale and rejected. Weights that were
rolled back do not serve again, and after an automatic rollback nothing is promoted for a while; force with a
reason overrides both.
It knows no broker and no Milvus.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from indexer.guard import ACTOR as GUARD
from indexer.state import HOLDING, State
from schemas.releases import Candidate, DeploymentCommand, LivePointer, Release, ReleaseState


@dataclass(frozen=True)
class Build:
    """Accepted: build a new generation from this candidate, and publish it if it is proven."""

    candidate: Candidate


@dataclass(frozen=True)
class Switch:
    """Accepted: let this generation serve, whose collection is there and in sync."""

    target: Release


@dataclass(frozen=True)
class Mark:
    """Accepted: the pointer with these marks."""

    paused: bool
    pinned: bool


@dataclass(frozen=True)
class Abort:
    """Accepted: end the build of this generation."""

    generation: int


@dataclass(frozen=True)
class Repeated:
    """The command was carried out before: nothing to do."""


@dataclass(frozen=True)
class Reject:
    """The command is refused; ``reason`` says what was found and what would help."""

    reason: str


Accept = Build | Switch | Mark | Abort | Repeated


def decide(
    state: State, command: DeploymentCommand, *, now: datetime, cooldown: timedelta
) -> Accept | Reject:
    """Return what the command does in this state, or why not.

    A command that comes again is carried out once.
    """
    if _known(state, command.command_id):
        return Repeated()
    if command.expires_at is not None and now > command.expires_at:
        return Reject(
            f"expired at {command.expires_at:%Y-%m-%d %H:%M:%S} UTC, before it was read: nothing was "
            "changed, send it again"
        )
    if command.action == "abort":
        building = state.building
        return Abort(building.generation) if building else Reject("nothing is being built")
    pointer = state.pointer
    if pointer is None:
        return Reject("there is no live generation yet: wait until the first one is published")
    blocked = may_publish(pointer, command) or _cooling(state, command, now, cooldown)
    if blocked:
        return Reject(blocked)
    return _RULES[command.action](state, pointer, command)


def may_publish(pointer: LivePointer, command: DeploymentCommand) -> str | None:
    """Return why the command must not change what serves, or None.

    Asked when it arrives and again when its build is ready.
    """
    expected = command.expected_generation
    if expected is not None and expected != pointer.live.generation:
        return f"stale: the command expects generation {expected}, live is {pointer.live.generation}"
    if command.action not in {"promote", "rollback"}:
        return None
    if command.force:
        return None if command.reason else "force needs a reason"
    if pointer.pinned:
        return (
            f"generation {pointer.live.generation} is pinned by {pointer.actor}: unpin it first, or force "
            "with a reason"
        )
    if pointer.paused and command.action == "promote":
        return "promotions are paused: resume them first, or force with a reason"
    return None


def _cooling(state: State, command: DeploymentCommand, now: datetime, cooldown: timedelta) -> str | None:
    """Flapping: what follows an automatic rollback within ``cooldown``.

    It was most likely learnt from the same data.
    """
    if command.action != "promote" or command.force:
        return None
    ends = max((r.at + cooldown for r in state.last_rollbacks if r.actor == GUARD), default=None)
    if ends is None or now >= ends:
        return None
    return (
        f"cooling down after an automatic rollback until {ends:%Y-%m-%d %H:%M:%S} UTC: wait, or force with "
        "a reason"
    )


def _quarantined(state: State, sha256: str, command: DeploymentCommand) -> str | None:
    release = state.rolled_back(sha256)
    if release is None or release.rolled_back is None or command.force:
        return None
    past = release.rolled_back
    return (
        f"generation {release.generation} has these weights and was rolled back by {past.actor} "
        f"({past.reason}): force with a reason"
    )


def _known(state: State, command_id: str) -> bool:
    if state.pointer and command_id in {state.pointer.command_id, *state.pointer.carried_out}:
        return True
    return any(r.command is not None and r.command.command_id == command_id for r in state.releases.values())


def _mark(_: State, pointer: LivePointer, command: DeploymentCommand) -> Mark:
    paused = {"pause": True, "resume": False}.get(command.action, pointer.paused)
    pinned = {"pin": True, "unpin": False}.get(command.action, pointer.pinned)
    return Mark(paused=paused, pinned=pinned)


def _rollback(state: State, pointer: LivePointer, command: DeploymentCommand) -> Accept | Reject:
    target = command.target_generation
    if target is None:
        if pointer.previous is None:
            return Reject("there is no previous generation")
        target = pointer.previous.generation
    return _switch(state, target, command)


def _promote(state: State, _: LivePointer, command: DeploymentCommand) -> Accept | Reject:
    candidate = command.candidate
    if (candidate is None) == (command.target_generation is None):
        return Reject("promote takes either a candidate or a target_generation")
    if candidate is None:
        return _switch(state, command.target_generation or 0, command)
    if quarantined := _quarantined(state, candidate.model_sha256, command):
        return Reject(quarantined)
    if state.building:
        return Reject(f"generation {state.building.generation} is being built: wait for it, or abort it")
    same = [
        r.generation
        for r in state.releases.values()
        if r.model_sha256 == candidate.model_sha256 and r.state != ReleaseState.FAILED
    ]
    if same and not command.force:
        return Reject(
            f"generation {max(same)} already has these weights: promote target_generation {max(same)}, or "
            "force with a reason"
        )
    return Build(candidate)


def _switch(state: State, generation: int, command: DeploymentCommand) -> Accept | Reject:
    release = state.releases.get(generation)
    if release is None:
        return Reject(f"generation {generation} does not exist")
    if generation == state.live:
        return Reject(f"generation {generation} is live already")
    if release.state not in HOLDING:
        held = ", ".join(str(r.generation) for r in state.holding) or "none"
        return Reject(
            f"generation {generation} is {release.state.value} and has no collection; there is one for: "
            f"{held}"
        )
    if quarantined := _quarantined(state, release.model_sha256, command):
        return Reject(quarantined)
    return Switch(release)


_RULES: dict[str, Callable[[State, LivePointer, DeploymentCommand], Accept | Reject]] = {
    "promote": _promote,
    "rollback": _rollback,
    "pause": _mark,
    "resume": _mark,
    "pin": _mark,
    "unpin": _mark,
}

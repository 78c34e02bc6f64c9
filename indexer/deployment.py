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
from schemas.releases import Candidate, DeploymentCommand, Kind, LivePointer, Release, ReleaseState


@dataclass(frozen=True)
class Build:
    """Accepted: build a new generation from this candidate, and publish it if it is proven."""

    candidate: Candidate


@dataclass(frozen=True)
class Refresh:
    """Accepted: let the live model and collection serve with this candidate's ranking, if it is proven."""

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


Accept = Build | Refresh | Switch | Mark | Abort | Repeated


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
    blocked = may_publish(state, command) or _cooling(state, command, now, cooldown)
    if blocked:
        return Reject(blocked)
    return _RULES[command.action](state, pointer, command)


def may_publish(state: State, command: DeploymentCommand) -> str | None:
    """Return why the command must not change what serves, or None.

    Asked when it arrives and again when its build is ready. What was measured against a generation may follow
    refreshes of it: they have the same weights.
    """
    pointer = state.pointer
    return (_stale(state, pointer, command) or _held(pointer, command)) if pointer else None


def _held(pointer: LivePointer, command: DeploymentCommand) -> str | None:
    """Return that an operator holds what serves, or None."""
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


def _stale(state: State, pointer: LivePointer, command: DeploymentCommand) -> str | None:
    """Return that something else is live than the command expects, or None.

    What new weights were compared with may have been refreshed since.
    """
    live, expected = pointer.live, command.expected_generation
    if expected is None or expected == live.generation:
        return None
    compared = state.releases.get(expected)
    builds = command.candidate is not None and command.candidate.kind == "full"
    if builds and compared is not None and compared.collection == live.collection:
        return None
    return f"stale: the command expects generation {expected}, live is {live.generation}"


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


def _promote(state: State, pointer: LivePointer, command: DeploymentCommand) -> Accept | Reject:
    candidate = command.candidate
    if (candidate is None) == (command.target_generation is None):
        return Reject("promote takes either a candidate or a target_generation")
    if candidate is None:
        return _switch(state, command.target_generation or 0, command)
    return _RULES_OF[candidate.kind](state, pointer.live, command, candidate)


def _build(state: State, _: Release, command: DeploymentCommand, candidate: Candidate) -> Accept | Reject:
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


def _refresh(
    state: State, live: Release, command: DeploymentCommand, candidate: Candidate
) -> Accept | Reject:
    """A refresh is of what serves; one that was taken back bars those that would bring the same again."""
    if command.expected_generation is None:
        return Reject("a refresh says of which generation it is: expected_generation")
    if (candidate.model, candidate.model_sha256, candidate.dim) != (live.model, live.model_sha256, live.dim):
        return Reject(f"generation {live.generation} has other weights than the refresh")
    last = state.last_refresh(live.collection)
    if last and last.rolled_back and not last.rolled_back.weights and not command.force:
        return Reject(
            f"refresh {last.generation} was rolled back by {last.rolled_back.actor} "
            f"({last.rolled_back.reason}): force with a reason, or promote another model"
        )
    if candidate.ranking == live.ranking:
        return Reject(f"generation {live.generation} ranks so already")
    return Refresh(candidate)


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
    if release.rolled_back and not command.force:
        past = release.rolled_back
        return Reject(
            f"generation {generation} was rolled back by {past.actor} ({past.reason}): force with a reason"
        )
    return Switch(release)


_RULES_OF: dict[Kind, Callable[[State, Release, DeploymentCommand, Candidate], Accept | Reject]] = {
    "full": _build,
    "refresh": _refresh,
}
_RULES: dict[str, Callable[[State, LivePointer, DeploymentCommand], Accept | Reject]] = {
    "promote": _promote,
    "rollback": _rollback,
    "pause": _mark,
    "resume": _mark,
    "pin": _mark,
    "unpin": _mark,
}

"""What will happen when an operator says yes, in sentences: told before it is asked. Pure."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from api.operator_state import OperatorState
from operations.command_outcome import other_model
from schemas.releases import LivePointer, Release, ReleaseState

STANDING = frozenset({ReleaseState.RELEASED, ReleaseState.RETIRED})


@dataclass(frozen=True)
class Consequence:
    """What an action is called, what it does, and how it is asked for elsewhere.

    ``refused``: why it cannot be asked for now. ``route`` takes ``body`` by POST; ``verb`` is
    the command line.
    """

    title: str
    sentences: list[str]
    route: str
    verb: str
    body: dict[str, object] = field(default_factory=dict)
    refused: str | None = None
    forcible: bool = False

    @property
    def explained(self) -> bool:
        """Whether the history keeps why it was asked for: of triggers it does not."""
        return self.route.startswith("/v1/releases")

    @property
    def example(self) -> dict[str, object]:
        """What is posted to the route, but for who asks."""
        return {"actor": "…", **({"reason": "…"} if self.explained else {}), **self.body}


def consequence(action: str, state: OperatorState, target: str | None) -> Consequence | None:
    """Return what an action does in this state; None for one that is not known.

    ``target``: the generation or the run that it is about.
    """
    tell = _TELL.get(action)
    return None if tell is None else tell(state, target or "")


def _promote(state: OperatorState, target: str) -> Consequence:
    pointer = state.releases.pointer
    release = _release(state, int(target)) if target.isdecimal() and len(target) < 16 else None
    refused = None
    if release is None:
        refused = f"There is no generation {target}."
    elif release.state not in STANDING:
        refused = (
            f"Generation {release.generation} is {release.state.value}: it has no index that could serve."
        )
    elif pointer is None or pointer.live.generation == release.generation:
        refused = f"Generation {release.generation} serves already."
    number = release.generation if release else 0
    first = (
        f"Generation {number} serves in place of {_name(pointer)}, in every searcher within about a second. "
        "No request fails meanwhile."
    )
    sentences = [first, "What serves now stays open: a rollback goes back to it."]
    return Consequence(
        f"Serve generation {number}", sentences, f"/v1/releases/{number}:promote",
        f"searchloop promote {number}", _expecting(pointer), refused, forcible=True,
    )  # fmt: skip


def _back(pointer: LivePointer | None, to: Release | None, *, model: bool) -> Consequence:
    refused = None if to is not None else (
        "No generation of another model can serve." if model else "No generation served before this one."
    )  # fmt: skip
    number = to.generation if to else 0
    sentences = [f"Generation {number} serves again in place of {_name(pointer)}, within about a second."]
    if pointer is not None and to is not None and to.model_sha256 == pointer.live.model_sha256:
        sentences.append(
            "Only the refresh is undone: the same model serves on, and no other refresh of it follows unless "
            "it is forced."
        )
    else:
        sentences.append("The weights that are taken out do not serve again unless they are forced.")
    sentences.append("Trainings go on, and a better candidate may be promoted: pin what serves to keep it.")
    return Consequence(
        "Roll back the model" if model else "Roll back", sentences, "/v1/releases:rollback",
        "searchloop rollback --model" if model else "searchloop rollback",
        _expecting(pointer) | ({"model": True} if model else {}), refused, forcible=True,
    )  # fmt: skip


def _marking(action: str, title: str, told: str) -> Callable[[OperatorState, str], Consequence]:
    def mark(state: OperatorState, _: str) -> Consequence:
        refused = "Nothing serves yet." if state.releases.pointer is None else None
        return Consequence(title, [told], f"/v1/releases:{action}", f"searchloop {action}", {}, refused)

    return mark


def _abort(state: OperatorState, _: str) -> Consequence:
    building = next(
        (r for r in state.releases.releases if r.state in {ReleaseState.BUILDING, ReleaseState.VERIFIED}),
        None,
    )
    told = (
        f"The build of generation {building.generation} ends, and its collection is dropped."
        if building
        else ""
    )
    refused = None if building else "Nothing is being built."
    return Consequence("Abort the build", [told], "/v1/releases:abort", "searchloop abort", {}, refused)


def _train(_: OperatorState, __: str) -> Consequence:
    told = (
        "A run begins, or waits for the one that runs: a model is trained on what shoppers did, and "
        "evaluated; it serves only if the gate lets it. While it runs it takes CPU at low priority."
    )
    return Consequence("Train", [told], "/v1/triggers", "searchloop train")


def _refresh(_: OperatorState, __: str) -> Consequence:
    told = (
        "What serves gets a memory and coefficients of today, without training: some minutes. It serves "
        "only if its checks pass."
    )
    return Consequence("Refresh", [told], "/v1/triggers", "searchloop refresh", {"refresh": True})


def _cancel(state: OperatorState, run_id: str) -> Consequence:
    run, refused = state.runs.get(run_id), None
    if run is None:
        refused = f"There is no run {run_id}."
    elif run.state.terminal:
        refused = f"Run {run_id} has ended: {run.state.value}."
    told = "The run ends, and what it has learned is not used. One that is being deployed is not cancelled."
    route, verb = f"/v1/runs/{run_id}:cancel", f"searchloop train --cancel {shlex.quote(run_id)}"
    return Consequence(f"Cancel run {run_id}", [told], route, verb, {}, refused)


def _release(state: OperatorState, generation: int | None) -> Release | None:
    return next((r for r in state.releases.releases if r.generation == generation), None)


def _previous(state: OperatorState) -> Release | None:
    pointer = state.releases.pointer
    return pointer.previous if pointer else None


def _other(state: OperatorState) -> Release | None:
    return _release(state, other_model(state.releases.pointer, state.releases.releases))


def _name(pointer: LivePointer | None) -> str:
    return f"generation {pointer.live.generation}" if pointer else "nothing"


def _expecting(pointer: LivePointer | None) -> dict[str, object]:
    """What the page shows may be old when the answer comes: another generation is not taken for this one."""
    return {"expected_generation": pointer.live.generation} if pointer else {}


_TELL: Mapping[str, Callable[[OperatorState, str], Consequence]] = {
    "promote": _promote,
    "rollback": lambda state, _: _back(state.releases.pointer, _previous(state), model=False),
    "rollback-model": lambda state, _: _back(state.releases.pointer, _other(state), model=True),
    "pin": _marking(
        "pin",
        "Pin what serves",
        "What serves now serves until it is unpinned: promotions and rollbacks are refused, those of the "
        "guard too, unless they are forced. Trainings go on, and their candidates are not deployed.",
    ),
    "unpin": _marking("unpin", "Unpin what serves", "Promotions change what serves again."),
    "pause": _marking(
        "pause", "Pause promotions", "Promotions are refused until they are resumed. A rollback is not."
    ),
    "resume": _marking("resume", "Resume promotions", "Promotions are carried out again."),
    "abort": _abort,
    "train": _train,
    "refresh": _refresh,
    "cancel": _cancel,
}

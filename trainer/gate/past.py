"""What a verdict needs of the past.

The best of the last generations, the ratchet's baseline, and how often live was challenged. Pure. A
generation's level is that of the generation it was compared with, plus the gain that its gate measured: a
chain of paired differences. It only chooses whom to compare with; the candidate is then measured against that
model itself, on the queries of today.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from schemas.releases import Kind, LivePointer, Ranking, Release, ReleaseState
from schemas.training import Decision

LAST = 10
_SERVED = frozenset({ReleaseState.RELEASED, ReleaseState.RETIRED, ReleaseState.DROPPED})


class Past(BaseModel):
    """The best generation with its model folder, its ranking and its level against the first one known.

    ``tries`` counts judged candidates. ``kind``: whether it serves as it was built, or refreshed.
    """

    model_config = ConfigDict(frozen=True)

    best: int
    model: str
    ranking: Ranking = Ranking()
    level: float
    tries: int
    kind: Kind = "full"


def look_back(
    live: LivePointer,
    releases: Iterable[Release],
    decisions: Sequence[Decision],
    *,
    there: Callable[[str], bool],
) -> Past:
    """Return the best of the last ``LAST`` generations that served and whose model is still ``there``.

    A tie goes to the newest. Generations that were taken back are left out: what the numbers said of them did
    not hold. Live is always among them, and of a generation and its refreshes only what serves, or the first.
    """
    known = {r.generation: r for r in releases} | {live.live.generation: live.live}
    same = {n for n, r in known.items() if r.collection == live.live.collection}
    served = {n: r for n, r in known.items() if r.state in _SERVED and r.kind == "full" and n not in same} | {
        live.live.generation: live.live
    }
    levels = levels_of({n: r for n, r in known.items() if r.state in _SERVED} | served, decisions)
    last = sorted(served)[-LAST:]
    taken_back = _taken_back(decisions, known)
    eligible = [
        g for g in last if g == live.live.generation or (g not in taken_back and there(served[g].model))
    ]
    best = max(eligible, key=lambda g: (levels[g], g))
    tries = sum(
        d.generation_before in same and d.generation_after is None and d.kind == "full" for d in decisions
    )
    return Past(
        best=best,
        model=served[best].model,
        ranking=served[best].ranking,
        level=levels[best],
        tries=tries,
        kind=served[best].kind,
    )


def _taken_back(decisions: Iterable[Decision], known: Mapping[int, Release]) -> set[int | None]:
    """Return the generations in whose place an earlier one was let serve again, by hand or by the guard.

    What was just built and proven (``checks``) may have a smaller number than a refresh of the live one. With
    a refresh goes what it refreshed, where its weights were taken back.
    """
    found = {
        d.generation_before
        for d in decisions
        if d.generation_after is not None and d.generation_after < (d.generation_before or 0) and not d.checks
    }
    back = [r for n, r in known.items() if n in found and r.rolled_back and r.rolled_back.weights]
    return found | {n for n, r in known.items() if r.collection in {one.collection for one in back}}


def levels_of(served: dict[int, Release], decisions: Iterable[Decision]) -> dict[int, float]:
    """Return the level of each generation.

    One without a measured gain is at the level of its parent, the first at 0, a refresh at that of what it
    refreshes.
    """
    gains = {}
    for decision in decisions:
        against = next((c for c in decision.checks if c.name == "vs_live" and c.delta is not None), None)
        if decision.run_id and against is not None:
            gains[decision.run_id] = (decision.generation_before, against.delta or 0.0)
    levels: dict[int, float] = {}
    built = {r.collection: n for n, r in served.items() if r.kind == "full"}
    for generation in sorted(served, key=lambda n: (served[n].kind == "refresh", n)):
        release = served[generation]
        if release.kind == "refresh":
            levels[generation] = levels.get(built.get(release.collection, 0), 0.0)
            continue
        before, gain = gains.get(release.run_id or "", (release.parent, 0.0))
        compared = served.get(before or 0)
        # What it was compared with may be a refresh, which may have no record any more
        parent = built.get(compared.collection, 0) if compared else release.parent
        levels[generation] = levels.get(parent or 0, 0.0) + gain
    return levels

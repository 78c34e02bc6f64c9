"""What a verdict needs of the past.

The best of the last generations, the ratchet's baseline, and how often live was challenged. Pure. A
generation's level is that of the generation it was compared with, plus the gain that its gate measured: a
chain of paired differences. It only chooses whom to compare with; the candidate is then measured against that
model itself, on the queries of today.
"""

from collections.abc import Callable, Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from schemas.releases import LivePointer, Ranking, Release, ReleaseState
from schemas.training import Decision

LAST = 10
_SERVED = frozenset({ReleaseState.RELEASED, ReleaseState.RETIRED, ReleaseState.DROPPED})


class Past(BaseModel):
    """The best generation with its model folder, its ranking and its level against the first one known.

    ``tries`` counts judged candidates.
    """

    model_config = ConfigDict(frozen=True)

    best: int
    model: str
    ranking: Ranking = Ranking()
    level: float
    tries: int


def look_back(
    live: LivePointer,
    releases: Iterable[Release],
    decisions: Sequence[Decision],
    *,
    there: Callable[[str], bool],
) -> Past:
    """Return the best of the last ``LAST`` generations that served and whose model is still ``there``.

    A tie goes to the newest. Generations that were taken back are left out: what the numbers said of them did
    not hold. Live is always among them.
    """
    served = {r.generation: r for r in releases if r.state in _SERVED} | {live.live.generation: live.live}
    levels = levels_of(served, decisions)
    last = sorted(served)[-LAST:]
    taken_back = {
        d.generation_before
        for d in decisions
        if d.generation_after is not None and d.generation_after < (d.generation_before or 0)
    }
    eligible = [
        g for g in last if g == live.live.generation or (g not in taken_back and there(served[g].model))
    ]
    best = max(eligible, key=lambda g: (levels[g], g))
    tries = sum(d.generation_before == live.live.generation and d.generation_after is None for d in decisions)
    return Past(
        best=best,
        model=served[best].model,
        ranking=served[best].ranking,
        level=levels[best],
        tries=tries,
    )


def levels_of(served: dict[int, Release], decisions: Iterable[Decision]) -> dict[int, float]:
    """Return the level of each generation.

    One without a measured gain is at the level of its parent, the first at 0.
    """
    gains = {}
    for decision in decisions:
        against = next((c for c in decision.checks if c.name == "vs_live" and c.delta is not None), None)
        if decision.run_id and against is not None:
            gains[decision.run_id] = (decision.generation_before, against.delta or 0.0)
    levels: dict[int, float] = {}
    for generation in sorted(served):
        release = served[generation]
        parent, gain = gains.get(release.run_id or "", (release.parent, 0.0))
        levels[generation] = levels.get(parent or 0, 0.0) + gain
    return levels

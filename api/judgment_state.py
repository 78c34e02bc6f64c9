"""Judgment sets as the API holds them: what each says, and what ratings would change in one. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from api.bodies import HttpFault
from api.operator_state import OperatorState, judgment_size
from api.wishes import conflict, unfit
from schemas.bounds import RATINGS
from schemas.judged_queries import RatedQuery
from schemas.operator_http import JudgmentSet, RatingWish

# Of each query that changes all its ratings as they shall be; none: it is taken out.
Changed = Mapping[str, Mapping[str, float]]
_FULL = (
    "the API holds as many judgments as it may: `searchloop judgments import` writes sets of any size, "
    "`searchloop judgments remove` makes room"
)


def set_of(state: OperatorState, name: str) -> list[RatedQuery]:
    """Return the judged queries of a set in alphabetical order; none where there is no such set."""
    return sorted((one for (own, _), one in state.judged.items() if own == name), key=lambda one: one.query)


def sets_of(state: OperatorState) -> list[JudgmentSet]:
    """Return how much each set holds, by name."""
    found: dict[str, list[RatedQuery]] = {}
    for (name, _), one in state.judged.items():
        found.setdefault(name, []).append(one)
    return [judgment_set(name, found[name]) for name in sorted(found)]


def judgment_set(name: str, judged: Sequence[RatedQuery]) -> JudgmentSet:
    """Return how much a set holds, which has a query at least."""
    last = max(judged, key=lambda one: one.at)
    ratings = sum(len(one.ratings) for one in judged)
    return JudgmentSet(name=name, queries=len(judged), ratings=ratings, actor=last.actor, at=last.at)


def ratings_after(state: OperatorState, name: str, wished: Iterable[RatingWish]) -> Changed | HttpFault:
    """Return what of a set changes by ratings, or why it may not.

    They are put among those that the query has. Of one query and product that comes twice the last counts.
    """
    after: dict[str, dict[str, float]] = {}
    for wish in wished:
        own = after.setdefault(wish.query, dict(_now(state, name, wish.query)))
        own.pop(wish.product_id, None)
        if wish.relevance is not None:
            own[wish.product_id] = wish.relevance
    changed = {query: own for query, own in after.items() if own != _now(state, name, query)}
    return _refusal(state, name, changed) or changed


def _refusal(state: OperatorState, name: str, changed: Changed) -> HttpFault | None:
    more = 0
    for query, own in changed.items():
        if len(own) > RATINGS:
            return unfit(f"judgments: {RATINGS} products are the most for one query")
        if (name, query) not in state.judged and state.judgments_left_out:
            return conflict(_FULL)  # what the topic has of this query is not known
        more += judgment_size(query, own) - judgment_size(query, _now(state, name, query))
    return conflict(_FULL) if more > state.judgments_left else None


def _now(state: OperatorState, name: str, query: str) -> Mapping[str, float]:
    there = state.judged.get((name, query))
    return there.ratings if there else {}

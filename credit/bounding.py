"""What attribution may remember of one shopper at most.

By age, by number, and in bytes, because the state is one record of Kafka. What is dropped stays earned.
Decided anew after every event, from the facts alone, so neither a replay nor the size of a batch changes it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from credit.shopper import LATENESS_MS, Rules, Shopper, stored_bytes
from schemas.bounds import SEEN_BYTES

# Of one query_id, so many shown products are remembered: those with the smallest ids, so that order does not
# matter.
MAX_SHOWN = 500


def cut_shown(shown: Iterable[str]) -> tuple[str, ...]:
    """Return the products of a search that are remembered.

    All, or the smallest ids up to ``MAX_SHOWN`` and ``SEEN_BYTES``. Cutting what was cut together with more
    gives what cutting all at once gives.
    """
    kept = tuple(shown)
    if len(kept) <= MAX_SHOWN and 4 * sum(map(len, kept)) <= SEEN_BYTES:
        return kept
    kept = tuple(sorted(set(kept))[:MAX_SHOWN])
    left = SEEN_BYTES
    for n, product in enumerate(kept):
        left -= len(product.encode())
        if left < 0:
            return kept[:n]
    return kept


def forget_old(state: Shopper, rules: Rules) -> None:
    """Drop what is too old.

    Comes before anything new is looked at, so that it makes no difference whether the shopper was put to rest
    meanwhile.
    """
    if state.newest_ms - state.swept_ms >= LATENESS_MS:
        cutoff = state.newest_ms - rules.retention_ms
        state.swept_ms = state.newest_ms
        state.searches = {k: s for k, s in state.searches.items() if s.at_ms >= cutoff}
        state.touches = {k: t for k, t in state.touches.items() if t.last_ms >= cutoff}
        state.lines = {k: x for k, x in state.lines.items() if x.at_ms >= cutoff}
        state.refunds = {k: r for k, r in state.refunds.items() if r.at_ms >= cutoff}


def forget_too_much(state: Shopper, rules: Rules) -> None:
    """Drop the oldest beyond the bounds.

    In bytes: of whatever kind takes most, the oldest first, until a quarter of the bound is free, so that it
    is not done for every event.
    """
    most = rules.max_touches
    if len(state.searches) > rules.max_searches:
        _drop_beyond(state, 0, rules.max_searches)
    if len(state.touches) > most or len(state.lines) > most or len(state.refunds) > most:
        for kind in (1, 2, 3):
            _drop_beyond(state, kind, most)
    if state.taken > rules.max_bytes:
        _drop_heavy(state, rules.max_bytes)


def _kinds(state: Shopper) -> list[tuple[dict[str, Any], Callable[[Any], int]]]:
    return [
        (state.searches, lambda s: s.at_ms),
        (state.touches, lambda t: t.last_ms),
        (state.lines, lambda x: x.at_ms),
        (state.refunds, lambda r: r.at_ms),
    ]


def _drop_beyond(state: Shopper, kind: int, limit: int) -> None:
    facts, time_of = _kinds(state)[kind]
    while len(facts) > limit:
        _drop(state, kind, min(facts, key=lambda k: (time_of(facts[k]), k)))


def _drop_heavy(state: Shopper, limit: int) -> None:
    kinds = _kinds(state)
    sizes = [stored_bytes(facts) for facts, _ in kinds]
    if sum(sizes) > limit:
        ages = [_newest_first(facts, time_of) for facts, time_of in kinds]
        while sum(sizes) > limit * 3 // 4:
            kind = max(range(len(sizes)), key=sizes.__getitem__)
            key = ages[kind].pop()
            sizes[kind] -= stored_bytes({key: kinds[kind][0][key]}) - 1
            _drop(state, kind, key)
    state.taken = sum(sizes)


def _newest_first(facts: Mapping[str, Any], time_of: Callable[[Any], int]) -> list[str]:
    return sorted(facts, key=lambda k: (time_of(facts[k]), k), reverse=True)


def _drop(state: Shopper, kind: int, key: str) -> None:
    facts, time_of = _kinds(state)[kind]
    at_ms = time_of(facts.pop(key))
    state.evicted += 1
    # An interaction as old as what was dropped could be the dropped one again, and would count twice
    if kind:
        state.floor_ms = max(state.floor_ms, at_ms)

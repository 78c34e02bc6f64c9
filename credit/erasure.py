"""Forget a shopper: what it has earned is taken back, and every pair that names it drops it.

Two parts, because attribution remembers some days only. The remembered lines are taken back exactly. What was
earned before that, a pair knows as a sum per client alone: that much is taken off its days, and the client's
hash goes.
"""

from credit.attribution import contributions_of
from credit.settling import Change
from credit.shopper import DAY_MS, START, Fence, Rules, Shopper
from schemas.events import Action, Forget
from schemas.pairs import ClientErasure, Contribution, Counts, Pair, client_of

# The number of an erasure within its event: beyond that of any reversal, and the same when a replay finds
# less to take back.
AFTER_ALL = 1 << 20


def forget(
    state: Shopper, event: Forget, source: int, position: Fence, rules: Rules
) -> tuple[Shopper, list[Contribution], ClientErasure | None]:
    """Return the emptied state, what its lines had earned, and the erasure for pairs.

    What was earned comes as negative contributions. A shopper who is not remembered, or would not be if its
    partition had gone on, has earned nothing within the remembered age before the request; what pairs hold of
    it beyond its lines can be of any day before that. Of the state remain the fence, the times and the
    counters, so that a replay counts nothing and what is older than the request is late. A position that is
    not beyond the fence returns the same state, nothing, and None.
    """
    if position <= state.fence:
        return state, [], None
    earned: list[Change] = [(t.product, t.action, t.earned) for t in state.touches.values() if t.earned]
    earned += [(x.product, Action.PURCHASE, x.earned) for x in state.lines.values() if x.earned]
    reversals = [
        (p, a, e._replace(credit=-e.credit, units=-e.units, revenue_minor=-e.revenue_minor))
        for p, a, e in earned
    ]
    silent = state.fence == START or state.newest_ms < event.at_ms - rules.rest_ms
    beyond_ms = (
        event.at_ms - rules.retention_ms
        if silent
        else max(state.floor_ms, state.swept_ms - rules.retention_ms)
    )
    client = client_of(event.shopper, rules.salt)
    erasure = ClientErasure(
        client=client,
        through_day=beyond_ms // DAY_MS,
        source=source,
        position=(*position, AFTER_ALL),
        others=tuple(client_of(event.shopper, salt) for salt in rules.salts_before),
    )
    emptied = Shopper(
        fence=position,
        newest_ms=max(state.newest_ms, event.at_ms),
        swept_ms=state.swept_ms,
        floor_ms=state.floor_ms,
        evicted=state.evicted,
        late=state.late,
        forgotten_ms=max(state.forgotten_ms, event.at_ms),
    )
    return emptied, contributions_of(reversals, client, source, position), erasure


def erase_client(pair: Pair, erasure: ClientErasure) -> Pair:
    """Return the pair without the client, or the same pair when it does not name it or has seen the erasure.

    The client's net credit is taken off the days up to ``through_day``, newest first, and of a day off the
    most committed action first. Units and revenue shrink with the credit of their row. A net credit below
    zero is not given back.
    """
    passed, hashes = pair.fence.get(erasure.source), {erasure.client, *erasure.others}
    if hashes.isdisjoint(pair.clients) or (passed is not None and erasure.position <= passed):
        return pair
    left, days = sum(pair.clients.get(client, 0) for client in hashes), dict(pair.days)
    for day in sorted((d for d in days if d <= erasure.through_day), reverse=True):
        left, row = _take_off(left, days[day])
        if row:
            days[day] = row
        else:
            del days[day]
    return Pair(
        query=pair.query,
        product_id=pair.product_id,
        days=days,
        clients={client: credit for client, credit in pair.clients.items() if client not in hashes},
        fence={**pair.fence, erasure.source: erasure.position},
        revision=pair.revision + 1,
    )


def _take_off(left: int, row: dict[Action, Counts]) -> tuple[int, dict[Action, Counts]]:
    """Return the credit still to be taken off, and the row without what was.

    An action without credit is left out.
    """
    after = dict(row)
    for action in reversed(Action):
        credit, units, revenue = row.get(action, (0, 0, 0))
        taken = min(left, credit)
        if taken <= 0:
            continue
        left -= taken
        rest = credit - taken
        after[action] = (rest, units * rest // credit, revenue * rest // credit)
        if not rest:
            del after[action]
    return left, after

"""Records and clean events for the tests of stream: only what a test cares about has to be said."""

import json
from datetime import UTC, datetime

from broker.records import Record
from credit.attribution import attribute
from credit.shopper import Rules, Shopper
from schemas.events import Action, CleanInteraction, CleanSearch, Line
from schemas.pairs import Contribution, Pair, pair_key
from schemas.settings import StreamSettings
from stream.aggregation import aggregate

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
T0 = int(NOW.timestamp() * 1000)
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
RULES = Rules.of(StreamSettings())


def record(body, *, topic="searches", key=b"k", partition=0, offset=7, headers=()):
    value = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    return Record(topic, partition, offset, 0, key, value, tuple(headers))


def search(query_id, query, shown=(), *, at=0, event_id=None, session=None, placed=()):
    return CleanSearch(
        event_id=event_id or f"s-{query_id}",
        shopper="ann",
        at_ms=T0 + at,
        query_id=query_id,
        query=query,
        shown=list(shown),
        session_id=session,
        placed=list(placed),
    )


def act(
    action,
    product,
    *,
    at=0,
    event_id=None,
    query_id=None,
    query=None,
    order=None,
    units=1,
    price=0,
    session=None,
):
    products = [product] if isinstance(product, str) else product
    return CleanInteraction(
        event_id=event_id or f"{action}-{product}-{at}-{query_id}-{order}",
        shopper="ann",
        at_ms=T0 + at,
        action=Action(action),
        lines=[Line(product_id=p, units=units, revenue_minor=price * units) for p in products],
        query_id=query_id,
        query=query,
        order_id=order or (f"o-{at}" if action == "purchase" else None),
        session_id=session,
    )


def run(events, rules=RULES, state=None):
    """Apply events in the given order; return the state and all contributions."""
    state = state or Shopper()
    contributions = []
    for offset, event in enumerate(events, start=state.fence[0] + 1):
        state, new = attribute(state, event, 0, (offset, 0), rules)
        contributions += new
    return state, contributions


def net(contributions):
    """Sum contributions by (query, product, action, day); zero rows are left out."""
    sums = {}
    for c in contributions:
        key = (c.query, c.product_id, c.action.value, c.day)
        old = sums.get(key, (0, 0, 0))
        sums[key] = (old[0] + c.credit, old[1] + c.units, old[2] + c.revenue_minor)
    return {k: v for k, v in sums.items() if v != (0, 0, 0)}


def credited(events, rules=RULES):
    """Return net credit by (query, product, action)."""
    return {k[:3]: v[0] for k, v in net(run(events, rules)[1]).items()}


def contribution(
    credit=1000,
    *,
    position=(0, 0, 0),
    source=0,
    day=1,
    client="0" * 16,
    action=Action.PURCHASE,
    query="mug",
    product="p1",
    units=0,
):
    return Contribution(
        contribution_id=f"{source}-{position}",
        query=query,
        product_id=product,
        action=action,
        day=day,
        credit=credit,
        units=units,
        client=client,
        source=source,
        position=position,
    )


def fold(contributions):
    pairs = {}
    for c in contributions:
        key = pair_key(c.query, c.product_id)
        pairs[key] = aggregate(pairs.get(key) or Pair(query=c.query, product_id=c.product_id), c)
    return pairs

"""Turn one shopper's events into contributions: which query earns how much, and what has to be taken back.

Arrival order does not matter: each event is inserted into the remembered facts, the lines it can affect are
decided anew, and only the difference to what they had earned is contributed. So a late search, a refund
before its purchase and any disorder end in the same sums. There is no clock and there are no timers. See
``credit.settling`` for the deciding and ``credit.crediting`` for the rules.
"""

from collections import Counter
from collections.abc import Collection, Iterable

from credit.bounding import cut_shown, forget_old, forget_too_much
from credit.places import epoch_of, offset_of
from credit.settling import Change, settle_product
from credit.shopper import (
    MINUTE_MS,
    SEPARATOR,
    Fence,
    OrderLine,
    Refund,
    Rules,
    SeenSearch,
    Shopper,
    Touch,
)
from schemas.events import Action, CleanInteraction, CleanSearch, Line, Tick
from schemas.pairs import Contribution, client_of

# Reading a member from its enum costs as much as a third of a credit.
_IMPRESSION, _REMOVE, _PURCHASE, _REFUND = (
    Action.IMPRESSION, Action.REMOVE_FROM_CART, Action.PURCHASE, Action.REFUND
)  # fmt: skip


def attribute(
    state: Shopper, event: CleanSearch | CleanInteraction | Tick, source: int, position: Fence, rules: Rules
) -> tuple[Shopper, list[Contribution]]:
    """Apply one event of this shopper to a copy of its state; see ``absorb``.

    A position not beyond the fence returns the same state.
    """
    after = state.copy()
    earned = absorb(after, event, source, position, rules)
    return (state, []) if earned is None else (after, earned)


def absorb(
    state: Shopper, event: CleanSearch | CleanInteraction | Tick, source: int, position: Fence, rules: Rules
) -> list[Contribution] | None:
    """Apply one event to the state in place.

    ``source`` is the partition of ``events``, ``position`` the place in it. Return what it contributes, or
    None, with nothing changed, for a position that is not beyond the fence. An event older than what is still
    remembered is counted as late and contributes nothing.
    """
    if position <= state.fence:
        return None
    state.fence = position
    if isinstance(event, Tick):
        return []
    at_ms = event.at_ms
    too_old = at_ms < state.newest_ms - rules.retention_ms or at_ms <= state.forgotten_ms
    if too_old or (at_ms <= state.floor_ms and isinstance(event, CleanInteraction)):
        state.late += 1
        return []
    if at_ms > state.newest_ms:
        state.newest_ms = at_ms
        forget_old(state, rules)
    crowded_before = crowded_minutes(state, rules)
    products = (
        _insert_search(state, event) if isinstance(event, CleanSearch) else _insert_interaction(state, event)
    )
    crowded = crowded_minutes(state, rules)
    if turned := crowded ^ crowded_before:
        products |= {touch.product for touch in state.touches.values() if touch.at_ms // MINUTE_MS in turned}
    changes: list[Change] = []
    for product in sorted(products):
        changes += settle_product(state, product, rules, crowded)
    forget_too_much(state, rules)
    return (
        contributions_of(changes, client_of(event.shopper, rules.salt), source, position) if changes else []
    )


def contributions_of(
    changes: Iterable[Change], client: str, source: int, position: Fence
) -> list[Contribution]:
    """Return changes as the contributions of the event at ``position``, numbered in their order."""
    later = f"-{epoch}" if (epoch := epoch_of(position[0])) else ""
    return [
        Contribution(
            contribution_id=f"{source}-{offset_of(position[0])}-{position[1]}-{n}{later}",
            query=earned.query,
            product_id=product,
            action=action,
            day=earned.day,
            credit=earned.credit,
            units=earned.units,
            revenue_minor=earned.revenue_minor,
            client=client,
            source=source,
            position=(*position, n),
        )
        for n, (product, action, earned) in enumerate(changes)
    ]


def crowded_minutes(state: Shopper, rules: Rules) -> set[int]:
    """Return the minutes of event time with more touches than a person makes.

    None of them earns, nor leads to a purchase.
    """
    if len(state.touches) <= rules.max_touches_per_minute:
        return set()
    counts = Counter(touch.at_ms // MINUTE_MS for touch in state.touches.values())
    return {minute for minute, count in counts.items() if count > rules.max_touches_per_minute}


def _insert_search(state: Shopper, event: CleanSearch) -> set[str]:
    """Remember a search; return the products whose lines it can affect."""
    shown = cut_shown(event.shown)
    new = SeenSearch(
        event.at_ms, event.event_id, event.query, shown, event.session_id, _placed(event.placed, shown)
    )
    known = state.searches.get(event.query_id)
    if known is not None:
        first = min(known, new, key=lambda s: (s.at_ms, s.event_id))
        both = set(known.shown).union(new.shown)
        shown = known.shown if len(both) == len(known.shown) else cut_shown(sorted(both))
        new = first._replace(shown=shown, placed=_placed((*known.placed, *new.placed), shown))
        if new == known:
            return set()
    state.searches[event.query_id] = new
    state.charge(event.query_id, new)
    # Without its name, a search is credited only for what comes after it
    query_id, at_ms, shown = event.query_id, new.at_ms, new.shown
    touched = {
        t.product
        for t in state.touches.values()
        if t.query_id == query_id or (t.at_ms >= at_ms and t.product in shown)
    }
    return touched | {
        x.product
        for x in state.lines.values()
        if query_id in x.query_ids or (x.at_ms >= at_ms and x.product in shown)
    }


def _placed(products: Collection[str], shown: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(products).intersection(shown))) if products else ()


def _insert_interaction(state: Shopper, event: CleanInteraction) -> set[str]:
    action = event.action
    if action is _IMPRESSION:
        return set()
    numbers: dict[str, int] = {}
    for index, line in enumerate(event.lines):
        if action is _PURCHASE:
            number = numbers[line.product_id] = numbers.get(line.product_id, -1) + 1
            _insert_order_line(state, event, line, number)
        elif action is _REFUND:
            key = f"{event.event_id}{SEPARATOR}{index}"
            refund = state.refunds.setdefault(
                key, Refund(line.product_id, event.order_id or "", line.units, event.at_ms)
            )
            state.charge(key, refund)
        else:
            _insert_touch(state, event, line, index)
    return {line.product_id for line in event.lines}


def _insert_order_line(state: Shopper, event: CleanInteraction, line: Line, number: int) -> None:
    order_id = event.order_id or event.event_id
    key = SEPARATOR.join((order_id, line.product_id, str(number)))
    named = tuple(dict.fromkeys(q for q in (line.query_id, event.query_id) if q))
    new = OrderLine(
        line.product_id,
        order_id,
        number,
        event.at_ms,
        event.event_id,
        line.units,
        line.revenue_minor,
        named,
        event.query,
        event.session_id,
    )
    known = state.lines.get(key)
    state.charge(key, new)
    if known is None:
        state.lines[key] = new
    elif (new.at_ms, new.event_id) < (known.at_ms, known.event_id):
        state.lines[key] = new._replace(credit=known.credit, earned=known.earned)


def _insert_touch(state: Shopper, event: CleanInteraction, line: Line, index: int) -> None:
    query_id = line.query_id or event.query_id
    mergeable = query_id is not None and event.action is not _REMOVE
    key = SEPARATOR.join(
        ("q", query_id or "", line.product_id, event.action)
        if mergeable
        else ("e", event.event_id, str(index))
    )
    new = Touch(
        line.product_id,
        event.action,
        event.at_ms,
        event.event_id,
        event.at_ms,
        query_id,
        event.query,
        event.session_id,
    )
    known = state.touches.get(key)
    if known is not None:
        first = min(known, new, key=lambda t: (t.at_ms, t.event_id))
        new = first._replace(
            last_ms=max(known.last_ms, new.last_ms), credit=known.credit, earned=known.earned
        )
    state.touches[key] = new
    state.charge(key, new)

"""Decide what the lines of one product have earned, and what has changed since they were decided last.

All of a shopper's facts about a product at once: a removal takes back a cart, a purchase keeps the carts
before it, refunds fall on the lines of their order. What one line is credited with, ``crediting`` decides.
"""

from credit.crediting import credit_purchase, credit_touch
from credit.shopper import DAY_MS, MINUTE_MS, Credit, Earned, OrderLine, Rules, Shopper, Touch
from schemas.events import Action

# Reading a member from its enum costs as much as a third of a credit.
_CART, _REMOVE, _PURCHASE = Action.ADD_TO_CART, Action.REMOVE_FROM_CART, Action.PURCHASE

Change = tuple[str, Action, Earned]


def settle_product(state: Shopper, product: str, rules: Rules, crowded: set[int]) -> list[Change]:
    """Decide all lines of a product anew, store what they have earned, and return the differences."""
    touches = {k: t for k, t in state.touches.items() if t.product == product}
    lines = {k: x for k, x in state.lines.items() if x.product == product} if state.lines else {}
    cancelled, standing = _walk_carts(touches, lines)
    changes = _settle_touches(state, touches, rules, crowded, cancelled)
    if not lines:
        return changes
    for key, line in lines.items():
        if not _decided(state, line.credit):
            credit = credit_purchase(line, state.searches, standing.get(key, ()), touches, rules)
            if credit != line.credit:
                lines[key] = line._replace(credit=credit)
    return changes + _settle_lines(state, product, lines)


def _credit_of(state: Shopper, touch: Touch, rules: Rules, crowded: set[int]) -> Credit | None:
    if crowded and touch.at_ms // MINUTE_MS in crowded:
        return None
    if touch.action is _REMOVE or _decided(state, touch.credit):
        return touch.credit
    return credit_touch(touch, state.searches, rules)


def _settle_touches(
    state: Shopper, touches: dict[str, Touch], rules: Rules, crowded: set[int], cancelled: set[str]
) -> list[Change]:
    """Only the earliest touch of one search, product and action earns, unless it was taken back.

    Updates state and ``touches``.
    """
    changes: list[Change] = []
    counted: set[tuple[str, Action]] = set()
    for _, key, touch in sorted([(touch.at_ms, key, touch) for key, touch in touches.items()]):
        credit, earned = _credit_of(state, touch, rules, crowded), None
        if credit and credit.rate and key not in cancelled:
            once = (credit.via or f"?{touch.query_id}", touch.action)
            if once not in counted:
                earned = Earned(credit.query, touch.at_ms // DAY_MS, credit.rate, 0, 0)
                counted.add(once)
        if credit != touch.credit or earned != touch.earned:
            touches[key] = state.touches[key] = after = touch.settled(credit, earned)
            state.charge(key, after)
            changes += _difference(touch.product, touch.action, touch.earned, earned)
    return changes


def _settle_lines(state: Shopper, product: str, lines: dict[str, OrderLine]) -> list[Change]:
    """A line earns for the units that were kept: refunds of an order's product fall on its lines in order."""
    changes: list[Change] = []
    returned: dict[str, int] = {}
    for refund in state.refunds.values():
        if refund.product == product:
            returned[refund.order_id] = returned.get(refund.order_id, 0) + refund.units
    for key, line in sorted(lines.items(), key=lambda kx: (kx[1].order_id, kx[1].number)):
        gone = min(line.units, returned.get(line.order_id, 0))
        if gone:
            returned[line.order_id] -= gone
        kept = line.units - gone
        earned = None
        if line.credit and line.credit.rate and kept:
            credit, revenue = line.credit.rate * kept // line.units, line.revenue_minor * kept // line.units
            earned = Earned(line.credit.query, line.at_ms // DAY_MS, credit, kept, revenue)
        after = line if earned == line.earned else line._replace(earned=earned)
        if after is not state.lines[key]:
            state.lines[key] = after
            state.charge(key, after)
        changes += _difference(product, _PURCHASE, line.earned, earned)
    return changes


def _decided(state: Shopper, credit: Credit | None) -> bool:
    """Say whether a credit must stay as it is, because the fact that decided it has been forgotten."""
    return (
        credit is not None
        and credit.via != ""
        and credit.via not in state.searches
        and credit.via not in state.touches
    )


def _walk_carts(
    touches: dict[str, Touch], lines: dict[str, OrderLine]
) -> tuple[set[str], dict[str, list[str]]]:
    """Return the carts that were taken back.

    And by order line the carts that stood when it was bought, if there ever was one. A removal takes back the
    latest standing cart before it. A purchase keeps the carts before it from being taken back later.
    """
    if _CART not in [touch.action for touch in touches.values()]:
        return set(), {}
    moments = [(x.at_ms, 1, key) for key, x in lines.items()]
    for key, touch in touches.items():
        if touch.action is _CART:
            moments += [(at_ms, 0, key) for at_ms in {touch.at_ms, touch.last_ms}]
        elif touch.action is _REMOVE:
            moments.append((touch.at_ms, 2, key))
    standing: list[str] = []
    bought: set[str] = set()
    cancelled: set[str] = set()
    stood: dict[str, list[str]] = {}
    for _, kind, key in sorted(moments):
        if kind == 0:
            cancelled.discard(key)
            standing = [*(k for k in standing if k != key), key]
        elif kind == 1:
            stood[key] = list(standing)
            bought.update(standing)
        else:
            latest = next((k for k in reversed(standing) if k not in bought), None)
            if latest is not None:
                standing.remove(latest)
                cancelled.add(latest)
    return cancelled, stood


def _difference(product: str, action: Action, was: Earned | None, now: Earned | None) -> list[Change]:
    if was == now:
        return []
    if was and now and (was.query, was.day) == (now.query, now.day):
        more = Earned(
            now.query,
            now.day,
            now.credit - was.credit,
            now.units - was.units,
            now.revenue_minor - was.revenue_minor,
        )
        return [(product, action, more)]
    gone = (
        [
            (
                product,
                action,
                was._replace(credit=-was.credit, units=-was.units, revenue_minor=-was.revenue_minor),
            )
        ]
        if was
        else []
    )
    return [*gone, (product, action, now)] if now else gone

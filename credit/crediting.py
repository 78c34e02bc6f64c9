"""Decide to which query a touch or an order line belongs: the first rule that holds, one query only.

Reads facts that are no later than the line, so what comes after it in event time never changes its query.
Ties go to the later, then to the greater id. Where a rule had placed the product, the line belongs to that
search all the same and earns nothing: what stood there says nothing of the query, and no other search led to
it.
"""

from collections.abc import Iterable, Mapping

from credit.shopper import MINUTE_MS, SEPARATOR, Credit, OrderLine, Rules, SeenSearch, Touch
from schemas.event_fate import Method
from schemas.events import Action

_CART, _LOOKED = Action.ADD_TO_CART, frozenset({Action.CLICK, Action.VIEW})
VERIFIED = 1000
TOUCHED = 800
INFERRED_TOUCH = 800
SESSION = 300
UNVERIFIED = 300
PLACED = 0
# A click that names a search which seems to come after it: the two clocks differ.
CLOCK_SKEW_MS = 5 * MINUTE_MS


def credit_touch(touch: Touch, searches: Mapping[str, SeenSearch], rules: Rules) -> Credit | None:
    """Return the query of a click, view or cart, or None.

    Carts keep their named search as long as purchases do.
    """
    query_id, at_ms = touch.query_id, touch.at_ms
    query_ids = (query_id,) if query_id else ()
    window = rules.purchase_ms if touch.action is _CART else rules.click_ms
    return (
        (_named(query_ids, touch.product, at_ms, searches, window) if query_ids else None)
        or _latest_showing(touch.product, at_ms, searches, rules.click_ms, touch.session, INFERRED_TOUCH)
        or (_unverified(query_ids, touch.query, searches) if touch.query else None)
    )


def credit_purchase(
    line: OrderLine,
    searches: Mapping[str, SeenSearch],
    carts: Iterable[str],
    touches: Mapping[str, Touch],
    rules: Rules,
) -> Credit | None:
    """Return the query of an order line, or None.

    ``touches`` are those of the product, ``carts`` the keys that stood at its time.
    """
    return (
        _named(line.query_ids, line.product, line.at_ms, searches, rules.purchase_ms)
        or _latest_touch(line, {k: touches[k] for k in carts}, rules, VERIFIED)
        or _latest_touch(line, {k: t for k, t in touches.items() if t.action in _LOOKED}, rules, TOUCHED)
        or _latest_showing(line.product, line.at_ms, searches, rules.session_ms, line.session, SESSION)
        or _unverified(line.query_ids, line.query, searches)
    )


def method_of(credit: Credit | None) -> Method:
    """Return the rule that made a credit; a cart and a click stand behind different rates."""
    if credit is None:
        return Method.NONE
    if not credit.rate:
        return Method.PLACED
    if not credit.via:
        return Method.TEXT
    if SEPARATOR in credit.via:
        return Method.CART if credit.rate == VERIFIED else Method.TOUCHED
    return {VERIFIED: Method.NAMED, SESSION: Method.SESSION}.get(credit.rate, Method.SHOWN)


def search_of(credit: Credit | None, touches: Mapping[str, Touch]) -> str | None:
    """Return the query id of the search behind a credit, through its touch where one led to it.

    None where the text alone is known, or the touch is no longer remembered.
    """
    if credit is not None and SEPARATOR in credit.via:
        touch = touches.get(credit.via)
        credit = touch.credit if touch else None
    return credit.via or None if credit is not None else None


def _named(
    query_ids: Iterable[str], product: str, at_ms: int, searches: Mapping[str, SeenSearch], window_ms: int
) -> Credit | None:
    for query_id in query_ids:
        search = searches.get(query_id)
        if (
            search
            and -CLOCK_SKEW_MS <= at_ms - search.at_ms <= window_ms
            and (not search.shown or product in search.shown)
        ):
            return _from(query_id, search, product, VERIFIED)
    return None


def _latest_touch(line: OrderLine, touches: Mapping[str, Touch], rules: Rules, rate: int) -> Credit | None:
    found: tuple[int, str] | None = None
    for key, touch in touches.items():
        at_ms = touch.last_ms if touch.last_ms <= line.at_ms else touch.at_ms
        if (
            touch.credit
            and 0 <= line.at_ms - at_ms <= rules.purchase_ms
            and (found is None or (at_ms, key) > found)
        ):
            found = (at_ms, key)
    if found is None:
        return None
    credit = touches[found[1]].credit
    return Credit(credit.query, rate if credit.rate else PLACED, found[1]) if credit else None


def _latest_showing(
    product: str,
    at_ms: int,
    searches: Mapping[str, SeenSearch],
    window_ms: int,
    session: str | None,
    rate: int,
) -> Credit | None:
    found: tuple[int, str] | None = None
    for query_id, search in searches.items():
        same_session = session is None or search.session is None or session == search.session
        near = 0 <= at_ms - search.at_ms <= window_ms and same_session
        if near and product in search.shown and (found is None or (search.at_ms, query_id) > found):
            found = (search.at_ms, query_id)
    return _from(found[1], searches[found[1]], product, rate) if found else None


def _from(query_id: str, search: SeenSearch, product: str, rate: int) -> Credit:
    return Credit(search.query, PLACED if product in search.placed else rate, query_id)


def _unverified(
    query_ids: Iterable[str], query: str | None, searches: Mapping[str, SeenSearch]
) -> Credit | None:
    known = [query_id in searches for query_id in query_ids]
    return Credit(query, UNVERIFIED, "") if query and known and not any(known) else None

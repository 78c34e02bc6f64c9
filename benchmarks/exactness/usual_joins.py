"""Three usual ways to say which search earned a purchase, each as good as it can be with what it looks at.

They see all events at once, in event-time order, so that lateness costs them nothing. A line named twice
keeps its first purchase.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from schemas.events import Action, CleanInteraction, CleanSearch

Events = Sequence[CleanSearch | CleanInteraction]
Join = Callable[[Events], dict[tuple[str, str], str]]
_SESSION_MS = 30 * 60_000
_WEEK_MS = 7 * 86_400_000


def query_id_join(events: Events) -> dict[tuple[str, str], str]:
    """Believe the query_id: the line's own, else the event's."""
    searches = {e.query_id: e.query for e in events if isinstance(e, CleanSearch)}
    named = ((key, line_id or purchase.query_id or "") for key, line_id, purchase in _lines(events))
    return {key: searches[query_id] for key, query_id in named if query_id in searches}


def last_search(events: Events) -> dict[tuple[str, str], str]:
    """Take the shopper's latest search of the seven days before the purchase."""
    by_shopper = _searches(events, lambda e: e.shopper)
    return _latest(events, by_shopper, lambda purchase: purchase.shopper, _WEEK_MS, shown=False)


def session_30min(events: Events) -> dict[tuple[str, str], str]:
    """Take the latest search of the same session, at most 30 minutes before, that showed the product."""
    by_session = _searches(events, lambda e: e.session_id or "")
    return _latest(events, by_session, lambda purchase: purchase.session_id or "", _SESSION_MS, shown=True)


JOINS: dict[str, Join] = {
    "query_id_join": query_id_join,
    "last_search": last_search,
    "session_30min": session_30min,
}


def _lines(events: Events) -> Iterator[tuple[tuple[str, str], str | None, CleanInteraction]]:
    """Yield every purchase line once: its (order, product), its own query_id, and its purchase."""
    seen: set[tuple[str, str]] = set()
    for e in events:
        if isinstance(e, CleanInteraction) and e.action is Action.PURCHASE:
            for line in e.lines:
                key = (e.order_id or "", line.product_id)
                if key not in seen:
                    seen.add(key)
                    yield key, line.query_id, e


def _searches(events: Events, group: Callable[[CleanSearch], str]) -> dict[str, list[CleanSearch]]:
    found: dict[str, list[CleanSearch]] = defaultdict(list)
    for e in events:
        if isinstance(e, CleanSearch):
            found[group(e)].append(e)
    return found


def _latest(
    events: Events,
    searches: dict[str, list[CleanSearch]],
    group: Callable[[CleanInteraction], str],
    window_ms: int,
    *,
    shown: bool,
) -> dict[tuple[str, str], str]:
    credited = {}
    for key, _, purchase in _lines(events):
        near: Iterable[CleanSearch] = (
            s for s in searches.get(group(purchase), ()) if 0 <= purchase.at_ms - s.at_ms <= window_ms
        )
        found = max((s for s in near if not shown or key[1] in s.shown), key=lambda s: s.at_ms, default=None)
        if found is not None:
            credited[key] = found.query
    return credited

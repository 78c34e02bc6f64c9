"""What shoppers searched for, counted by query from clean events, in whatever order they come. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from schemas.bounds import FIRST_EPOCH, LAST_EPOCH
from schemas.events import Action, CleanEvent, CleanInteraction, CleanSearch
from schemas.operator_http import QueriesFound, QueryCount

QueryKind = Literal["frequent", "unanswered", "unclicked", "falling"]
# A fall is told where chance alone would rarely make it: by so many standard deviations.
_DEVIATIONS = 2.0


@dataclass(frozen=True, slots=True)
class _Searched:
    query: str
    at_ms: int
    answered: bool


class QueryCounts:
    """Feed it with events. It holds one entry for each search and each query id that was clicked."""

    def __init__(self) -> None:
        self._searches: dict[str, _Searched] = {}
        self._engaged: set[str] = set()

    def __len__(self) -> int:
        return len(self._searches)

    def take(self, event: CleanEvent) -> None:
        """Take an event in. A search that comes again under its query id, as a further page, is one."""
        if isinstance(event, CleanSearch):
            before = self._searches.get(event.query_id)
            answered = bool(event.shown) or (before is not None and before.answered)
            self._searches[event.query_id] = _Searched(event.query, event.at_ms, answered)
        elif isinstance(event, CleanInteraction) and event.action is not Action.IMPRESSION:
            named = (event.query_id, *(line.query_id for line in event.lines))
            self._engaged.update(query_id for query_id in named if query_id is not None)

    def found(self, now: datetime) -> QueriesFound:
        """Return what was searched for, the most frequent first."""
        times = sorted(one.at_ms for one in self._searches.values())
        middle = times[len(times) // 2] if times else 0
        counts: dict[str, Counter[str]] = {}
        for query_id, one in self._searches.items():
            own = counts.setdefault(one.query, Counter())
            own["searches"] += 1
            own["unanswered"] += not one.answered
            own["clicked"] += query_id in self._engaged
            own["earlier" if one.at_ms < middle else "later"] += 1
        rows = [
            QueryCount(query=query, **{name: own[name] for name in _COUNTED}) for query, own in counts.items()
        ]
        return QueriesFound(
            read_at=now,
            since=_moment(times[0]) if times else None,
            until=_moment(times[-1]) if times else None,
            searches=len(times),
            queries=sorted(rows, key=lambda row: (-row.searches, row.query)),
        )


_COUNTED = ("searches", "unanswered", "clicked", "earlier", "later")


def of_kind(queries: Iterable[QueryCount], kind: QueryKind) -> list[QueryCount]:
    """Return the queries of a kind, those first that matter most; ``frequent`` are all as they come."""
    match kind:
        case "frequent":
            return list(queries)
        case "unanswered":
            return sorted((q for q in queries if q.unanswered), key=lambda q: -q.unanswered)
        case "unclicked":
            return [q for q in queries if not q.clicked and q.unanswered < q.searches]
        case "falling":
            return sorted(_falling(queries), key=lambda q: q.later - q.earlier)


def _falling(queries: Iterable[QueryCount]) -> Iterator[QueryCount]:
    for query in queries:
        if query.earlier - query.later > _DEVIATIONS * math.sqrt(query.searches):
            yield query


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(max(FIRST_EPOCH, min(LAST_EPOCH, at_ms * 10**6)) / 10**9, UTC)

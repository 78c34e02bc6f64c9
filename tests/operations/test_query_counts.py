"""What shoppers searched for, counted from clean events."""

from datetime import UTC, datetime

import pytest

from operations.query_counts import QueryCounts, QueryKind, of_kind
from schemas.events import Action, CleanEvent, CleanInteraction, CleanSearch, Line, Tick
from schemas.operator_http import QueriesFound, QueryCount

AT = datetime(2026, 11, 30, tzinfo=UTC)


def search(query: str, query_id: str, at_ms: int, *shown: str) -> CleanSearch:
    return CleanSearch(
        event_id=query_id, shopper="ann", at_ms=at_ms, query_id=query_id, query=query, shown=list(shown)
    )


def act(action: Action, query_id: str | None, *, line: str | None = None) -> CleanInteraction:
    lines = [Line(product_id="p1", query_id=line)]
    return CleanInteraction(
        event_id="e", shopper="ann", at_ms=5, action=action, lines=lines, query_id=query_id
    )


def counted(*events: CleanEvent) -> QueriesFound:
    counts = QueryCounts()
    for event in events:
        counts.take(event)
    return counts.found(AT)


EVENTS: list[CleanEvent] = [
    search("mug", "q1", 1, "p1"),
    search("mug", "q2", 2, "p1"),
    search("cup", "q3", 3),
    search("mug", "q4", 4, "p1"),
    act(Action.CLICK, "q1"),
    act(Action.PURCHASE, None, line="q1"),
    act(Action.IMPRESSION, "q2"),
    act(Action.CLICK, "gone"),
    Tick(at_ms=99),
]


def test_searches_are_counted_by_query_with_those_that_were_clicked_and_unanswered():
    found = counted(*EVENTS)
    assert [q.model_dump() for q in found.queries] == [
        {"query": "mug", "searches": 3, "unanswered": 0, "clicked": 1, "earlier": 2, "later": 1},
        {"query": "cup", "searches": 1, "unanswered": 1, "clicked": 0, "earlier": 0, "later": 1},
    ]
    assert found.searches == 4
    assert found.since is not None
    assert found.until is not None
    assert (found.since.timestamp(), found.until.timestamp()) == (0.001, 0.004)


def test_the_order_of_events_changes_nothing_and_a_further_page_is_no_search():
    again = search("cup", "q3", 3, "p9")
    assert counted(*reversed(EVENTS)) == counted(*EVENTS)
    assert counted(*EVENTS, again).queries[1].unanswered == 0
    assert counted(*EVENTS, again).searches == 4
    nothing = counted()
    assert (nothing.searches, nothing.since, nothing.queries) == (0, None, [])


def test_a_time_that_is_none_hides_no_search():
    found = counted(*EVENTS, search("mug", "q5", 10**18), search("mug", "q6", -(10**18)))
    assert found.searches == 6
    assert (found.since, found.until) == (
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC),
    )


def row(query: str, *, earlier: int, later: int, unanswered: int = 0, clicked: int = 1) -> QueryCount:
    return QueryCount(
        query=query, searches=earlier + later, unanswered=unanswered, clicked=clicked, earlier=earlier,
        later=later,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("frequent", ["steady", "falls", "chance", "empty"]),
        ("unanswered", ["empty", "chance"]),
        ("unclicked", ["chance"]),
        ("falling", ["falls"]),
    ],
)
def test_of_each_kind_those_that_matter_most_stand_first(kind: QueryKind, expected: list[str]):
    rows = [
        row("steady", earlier=50, later=50),
        row("falls", earlier=20, later=5),
        row("chance", earlier=5, later=3, unanswered=1, clicked=0),
        row("empty", earlier=2, later=2, unanswered=4, clicked=0),
    ]
    assert [one.query for one in of_kind(rows, kind)] == expected

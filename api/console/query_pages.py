"""The page of queries: the most frequent, those without answers, without clicks, and those that fall."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.bodies import HttpFault
from api.console.console_pages import page
from api.console.page_table import PageTable, file_links
from api.following import StateFollower
from api.query_routes import kind_asked
from api.recent_queries import RecentQueries
from operations.query_counts import QueryKind, of_kind
from schemas.operator_http import QueriesFound, QueryCount

QUERIES = "/console/queries"
_SHOWN = 100
_TITLES: dict[QueryKind, str] = {
    "frequent": "Most frequent",
    "unanswered": "Without answers",
    "unclicked": "Without clicks",
    "falling": "Falling",
}


def query_pages(recent: RecentQueries, follower: StateFollower) -> APIRouter:
    """Return the route of the page."""
    router = APIRouter()

    @router.get(QUERIES)
    async def console_queries(request: Request) -> Response:
        kind, queries = kind_asked(request.query_params.get("kind", "")), await recent.found()
        fault = next((one for one in (kind, queries) if isinstance(one, HttpFault)), None)
        rows = _rows(kind, queries)
        own = PageTable("queries", [row.model_dump() for row in rows])
        return own.asked(request) or page(
            "queries.html",
            section=QUERIES,
            status=fault.status if fault else 200,
            files=file_links(request) if rows else (),
            as_of=follower.as_of,
            fault=fault,
            titles=_TITLES,
            kind=kind,
            found=queries,
            rows=rows[:_SHOWN],
            more=len(rows) > _SHOWN,
        )

    return router


def _rows(kind: QueryKind | HttpFault, queries: QueriesFound | HttpFault) -> list[QueryCount]:
    if isinstance(kind, HttpFault) or isinstance(queries, HttpFault):
        return []
    return of_kind(queries.queries, kind)

"""The routes of what came lately: the queries of shoppers, and how good producers' events were."""

from typing import get_args

from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import Response

from api.bodies import HttpFault
from api.recent_producers import RecentProducers
from api.recent_queries import RecentQueries
from api.refusals import refusal
from api.state_answers import StateAnswers, dumped
from operations.query_counts import QueryKind, of_kind

KINDS: tuple[QueryKind, ...] = get_args(QueryKind)


def kind_asked(said: str) -> QueryKind | HttpFault:
    """Return the kind of queries that is asked for; empty: the most frequent."""
    found = next((kind for kind in KINDS if kind == (said or KINDS[0])), None)
    return found or HttpFault(400, "invalid_request", f"kind: one of {', '.join(KINDS)} is expected")


def query_routes(recent: RecentQueries, producers: RecentProducers, answers: StateAnswers) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get("/v1/queries")
    async def queries(request: Request) -> Response:
        asked = answers.asked(request, {"kind"})
        if isinstance(asked, HttpFault):
            return refusal(asked)
        kind = kind_asked(asked.others.get("kind", ""))
        if isinstance(kind, HttpFault):
            return refusal(kind)
        found = await recent.found()
        if isinstance(found, HttpFault):
            return refusal(found)
        return answers.listed(
            asked,
            "queries",
            lambda: of_kind(found.queries, kind),
            id_of=lambda one: one.query,
            dump=dumped,
            others={
                name: to_json(getattr(found, name)) for name in ("read_at", "since", "until", "searches")
            },
        )

    @router.get("/v1/producers")
    async def producers_told() -> Response:
        found = await producers.found()
        return refusal(found) if isinstance(found, HttpFault) else answers.told(dumped(found))

    return router

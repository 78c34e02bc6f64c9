"""The routes of search."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.bodies import BUSY, JSON_TYPES, HttpFault, read_body, wrong_type
from api.refusals import JSON, refusal
from api.roles import caller_of
from api.search_forms import batch_of, request_of_body, request_of_query
from api.searching import HttpAnswer, Searching
from schemas.request_reading import LARGEST_BATCH, LARGEST_REQUEST

T = TypeVar("T")


def search_routes(searching: Searching) -> APIRouter:
    """Return the routes by which one searches."""
    router = APIRouter()

    @router.post("/v1/search")
    async def search(request: Request) -> Response:
        # Beside its request nothing of a body is held while that waits: pictures are large
        return _response(
            await searching.answer(
                await _read(request, searching, LARGEST_REQUEST, request_of_body),
                trace_of(request),
                public=caller_of(request).public,
            )
        )

    @router.get("/v1/search")
    async def search_by_address(request: Request) -> Response:
        asked = request_of_query(request.query_params.multi_items())
        public = caller_of(request).public
        return _response(await searching.answer(asked, trace_of(request), public=public))

    @router.post("/v1/search:batch")
    async def search_batch(request: Request) -> Response:
        asked = await _read(request, searching, LARGEST_BATCH, batch_of)
        if isinstance(asked, HttpFault):
            return refusal(asked)
        caller = caller_of(request)
        caller.charge(len(asked) - 1)
        asked.reverse()
        trace = trace_of(request)
        answers = await asyncio.gather(
            *[searching.answer(asked.pop(), trace, public=caller.public) for _ in range(len(asked))]
        )
        return Response(b'{"responses":[%b]}' % b",".join(answer.body for answer in answers), media_type=JSON)

    return router


def trace_of(request: Request) -> str | None:
    """Return by what the front door lets a request be followed, if by anything."""
    trace: str | None = request.scope.get("trace")
    return trace


async def _read(
    request: Request, searching: Searching, most: int, form: Callable[[bytes], T | HttpFault]
) -> T | HttpFault:
    """Return what a body says, or what is wrong with it."""
    caller = caller_of(request)
    place = searching.capacity.enter(public=caller.public)
    if place is None:
        return BUSY
    with place:
        body = wrong_type(request, JSON_TYPES) or await read_body(request, place, most=caller.most(most))
        return body if isinstance(body, HttpFault) else form(body)


def _response(answer: HttpAnswer) -> Response:
    return Response(answer.body, answer.code, headers=answer.headers, media_type=JSON)

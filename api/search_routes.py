"""The routes of search."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.bodies import BUSY, JSON_TYPES, HttpFault, read_body, wrong_type
from api.refusals import JSON, refusal
from api.search_forms import batch_of, fields_of_body, request_of, request_of_query
from api.searching import HttpAnswer, Searching
from schemas.bounds import REQUEST_BYTES, SEARCH_BATCH_BYTES


def search_routes(searching: Searching) -> APIRouter:
    """Return the routes by which one searches."""
    router = APIRouter()

    @router.post("/v1/search")
    async def search(request: Request) -> Response:
        body = await _body(request, searching, REQUEST_BYTES)
        fields = body if isinstance(body, HttpFault) else fields_of_body(body)
        return _response(
            await searching.answer(fields if isinstance(fields, HttpFault) else request_of(fields))
        )

    @router.get("/v1/search")
    async def search_by_address(request: Request) -> Response:
        return _response(await searching.answer(request_of_query(request.query_params.multi_items())))

    @router.post("/v1/search:batch")
    async def search_batch(request: Request) -> Response:
        body = await _body(request, searching, SEARCH_BATCH_BYTES)
        asked = body if isinstance(body, HttpFault) else batch_of(body)
        if isinstance(asked, HttpFault):
            return refusal(asked)
        answers = await asyncio.gather(*map(searching.answer, asked))
        return Response(b'{"responses":[%b]}' % b",".join(answer.body for answer in answers), media_type=JSON)

    return router


async def _body(request: Request, searching: Searching, most: int) -> bytes | HttpFault:
    place = searching.capacity.enter()
    if place is None:
        return BUSY
    with place:
        return wrong_type(request, JSON_TYPES) or await read_body(request, place, most=most)


def _response(answer: HttpAnswer) -> Response:
    return Response(answer.body, answer.code, headers=answer.headers, media_type=JSON)

"""The routes that take records in: events and products."""

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.bodies import BUSY, HttpFault, content_type, read_body, wrong_type
from api.caller import Caller
from api.credentials import ALGOLIA_KEY
from api.judging import FORMATS, RecordJudge, Verdict
from api.posted import BEACON_TYPES, POSTED_TYPES, Posted, records_in
from api.refusals import JSON, refusal
from api.roles import caller_of
from api.taking import Taking
from schemas.bounds import POSTED_BYTES
from schemas.http import RecordsAnswer

Judging = Callable[[int, Posted], Verdict]
JudgeOf = Callable[[Request, RecordJudge], Judging | HttpFault]
# Where the client libraries of Algolia post, which take 200 alone for done
ALGOLIA_PATH = "/1/events"


def record_routes(taking: Taking) -> APIRouter:
    """Return the routes by which records come in."""
    router = APIRouter()

    @router.post("/v1/events")
    async def events(request: Request) -> Response:
        return await _take(taking, request, _event_judge, write=True)

    @router.post(ALGOLIA_PATH)
    async def algolia_events(request: Request) -> Response:
        return await _take(taking, request, _algolia_judge, write=True, done=200)

    @router.post("/v1/events:validate")
    async def validate_events(request: Request) -> Response:
        return await _take(taking, request, _event_judge, write=False)

    @router.post("/v1/products")
    async def products(request: Request) -> Response:
        return await _take(taking, request, _product_judge, write=True)

    @router.post("/v1/products:validate")
    async def validate_products(request: Request) -> Response:
        return await _take(taking, request, _product_judge, write=False)

    @router.delete("/v1/products/{product_id:path}")
    async def delete_product(product_id: str) -> Response:
        place = taking.capacity.enter()
        if place is None:
            return refusal(BUSY)
        with place:
            verdict = taking.judge().deletion(product_id)
            return _response(await taking.conclude([verdict], place, write=True))

    return router


async def _take(
    taking: Taking,
    request: Request,
    judge_of: JudgeOf,
    *,
    write: bool,
    done: int = 202,
) -> Response:
    caller = caller_of(request)
    place = taking.capacity.enter(public=caller.public)
    if place is None:
        return refusal(BUSY)
    with place:
        judge = judge_of(request, taking.judge())
        if isinstance(judge, HttpFault):
            return refusal(judge)
        body = wrong_type(request, _types(request)) or await read_body(
            request, place, most=caller.most(POSTED_BYTES)
        )
        if isinstance(body, HttpFault):
            return refusal(body)
        found = records_in(body, content_type(request), request.headers)
        if isinstance(found, HttpFault):
            return refusal(found)
        caller.charge(len(found) - 1)
        answer = await taking.take(found, partial(_charged, judge, caller), place, write=write)
        return _response(answer, done)


def _charged(judge: Judging, caller: Caller, index: int, posted: Posted) -> Verdict:
    """Judge a record; those of a batch, which is one record of the body, are charged as others are."""
    verdict = judge(index, posted)
    caller.charge(max(0, len(verdict.records) - 1))
    return verdict


def _types(request: Request) -> frozenset[str]:
    """Return the media types that are taken.

    Text from pages alone, of which the front door has looked at the origin: it is what ``sendBeacon`` sends.
    And from Algolia's clients on a server, which call all that they send so, and show a key as no page can.
    None from whoever sends a CloudEvent in headers: an SDK names none unless told to, and no page can.
    """
    as_text = "origin" in request.headers or ALGOLIA_KEY in request.headers
    taken = POSTED_TYPES | BEACON_TYPES if as_text else POSTED_TYPES
    return taken | {""} if "ce-specversion" in request.headers else taken


def _event_judge(request: Request, judge: RecordJudge) -> Judging | HttpFault:
    form = request.query_params.get("format")
    if form is None:
        return judge.event
    if form not in FORMATS:
        return HttpFault(400, "unknown_format", f"format is one of {', '.join(FORMATS)}")
    return partial(judge.foreign, form)


def _algolia_judge(_: Request, judge: RecordJudge) -> Judging:
    return partial(judge.foreign, "algolia")


def _product_judge(_: Request, judge: RecordJudge) -> Judging:
    return judge.product


def _response(answer: RecordsAnswer | HttpFault, done: int = 202) -> Response:
    if isinstance(answer, HttpFault):
        return refusal(answer)
    code = 400 if answer.refused == len(answer.results) else done
    return Response(answer.to_json(), code, media_type=JSON)

"""The routes of judgments: which sets there are, what one says, and putting ratings into one."""

import json

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.bodies import HttpFault, Place
from api.judgment_state import set_of, sets_of
from api.operating import Operating
from api.refusals import refusal
from api.state_answers import STARTING, StateAnswers, dumped
from api.wish_reading import Done, carried_out
from schemas.bounds import JUDGED_BYTES
from schemas.operator_http import JudgmentsWish


def judgment_routes(operating: Operating, answers: StateAnswers) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    state = operating.state

    @router.get("/v1/judgments")
    async def judgment_sets(request: Request) -> Response:
        return answers.listed(
            answers.asked(request),
            "judgments",
            lambda: sets_of(state),
            id_of=lambda one: one.name,
            dump=dumped,
        )

    @router.get("/v1/judgments/{name}")
    async def judgments(request: Request, name: str) -> Response:
        asked = answers.asked(request)
        judged = set_of(state, name)
        if not isinstance(asked, HttpFault) and not judged:
            asked = HttpFault(404, "not_found", f"there is no judgment set {name!r}")
        return answers.listed(
            asked,
            "queries",
            lambda: judged,
            id_of=lambda one: one.query,
            dump=dumped,
            others={"name": json.dumps(name).encode()},
        )

    @router.post("/v1/judgments")
    async def judge(request: Request) -> Response:
        async def do(wish: JudgmentsWish, place: Place) -> Done:
            done = await operating.judge(wish, place)
            return done if isinstance(done, HttpFault) else answers.told(dumped(done))

        if operating.follower.as_of is None:
            return refusal(STARTING)
        return await carried_out(request, operating.capacity, JudgmentsWish, do, most=JUDGED_BYTES)

    return router

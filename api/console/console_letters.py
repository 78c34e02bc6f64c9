"""The addresses of dead letters, which are sent again here."""

import json

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.bodies import BUSY, HttpFault
from api.console.console_frame import SHOWN_ROWS, Console
from api.console.form_asking import posted_form
from api.console.letter_pages import errors_of, event_of, pretty
from api.console.page_table import PageTable
from api.letter_routes import Replaying
from api.refusals import refusal
from api.wishes import wish_of
from schemas.operator_http import ReplayAnswer, ReplayWish

LETTERS = "/console/data"


def console_letter_routes(router: APIRouter, console: Console, replaying: Replaying) -> None:
    """Add the list, the page of one, and the form that sends them again."""
    letters = replaying.letters

    def listed(
        request: Request, replayed: ReplayAnswer | None = None, fault: HttpFault | None = None
    ) -> Response:
        chosen = {name: request.query_params.get(name) or None for name in ("topic", "reason")}
        found = letters.chosen(**chosen)
        told = [letters.told(one) for one in found[:SHOWN_ROWS]]
        return console.tabled(
            request,
            PageTable("dead-letters", [one.model_dump(mode="json") for one in told]),
            "letters.html",
            section=LETTERS,
            counts=letters.counts(),
            chosen=chosen,
            letters=told,
            more=len(found) > SHOWN_ROWS,
            replayed=replayed,
            fault=fault,
            status=fault.status if fault else 200,
        )

    @router.get(LETTERS)
    async def console_letters(request: Request) -> Response:
        return listed(request)

    @router.get("/console/data/{topic}/{offset:number}")
    async def console_letter(topic: str, offset: int) -> Response:
        letter = letters.get(topic, offset)
        if letter is None:
            what = f"No letter {offset} of {topic} is kept here."
            return console.shown("missing.html", section=LETTERS, status=404, what=what, back=LETTERS)
        told = letters.told(letter, whole=True)
        return console.shown(
            "letter.html",
            section=LETTERS,
            letter=told,
            errors=errors_of(told),
            pretty=pretty(told),
            event=event_of(letter),
        )

    @router.post("/console/data")
    async def console_replay(request: Request) -> Response:
        place = replaying.capacity.enter()
        if place is None:
            return refusal(BUSY)
        with place:
            form = await posted_form(request, place)
            if isinstance(form, HttpFault):
                return refusal(form)
            wish = wish_of(json.dumps(form).encode(), ReplayWish)
            done = wish if isinstance(wish, HttpFault) else await replaying.replay(wish, place)
        fault = done if isinstance(done, HttpFault) else None
        return listed(request, None if isinstance(done, HttpFault) else done, fault)

"""The address of the search."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.bodies import BUSY, HttpFault, read_body, wrong_type
from api.console.console_frame import Console
from api.console.page_table import PageTable
from api.console.posted_files import MULTIPART, fields_with_files
from api.console.search_page import ConsoleSearch, SearchTold, command_line
from api.console.side_by_side import DEPTH, as_rows
from api.refusals import refusal
from api.roles import caller_of
from schemas.bounds import IMAGE_BYTES, REQUEST_BYTES

SEARCH = "/console/search"
PICTURE_FORM = IMAGE_BYTES + REQUEST_BYTES


def console_search_routes(router: APIRouter, console: Console, search: ConsoleSearch) -> None:
    """Add the page, and the form that carries a picture."""

    def shown(request: Request, asked: dict[str, str], told: SearchTold | None) -> Response:
        return console.tabled(
            request,
            PageTable("search", as_rows(told.answers if told else [])),
            "search.html",
            section=SEARCH,
            asked=asked,
            told=told,
            depth=DEPTH,
            command=command_line(asked, pictured=request.method == "POST"),
            command_beside=command_line(asked, pictured=request.method == "POST", ranking="previous"),
            pointer=console.state.releases.pointer,
        )

    @router.get(SEARCH)
    async def console_search(request: Request) -> Response:
        asked = dict(request.query_params)
        return shown(request, asked, await search.answer(asked) if asked.get("q", "").strip() else None)

    @router.post(SEARCH)
    async def console_search_by_picture(request: Request) -> Response:
        place = console.operating.capacity.enter()
        if place is None:
            return refusal(BUSY)
        with place:
            body = wrong_type(request, {MULTIPART}) or await read_body(
                request, place, most=caller_of(request).most(PICTURE_FORM)
            )
            if isinstance(body, HttpFault):
                return refusal(body)
            form = fields_with_files(request.headers["content-type"], body)
            asked = {name: form[name].decode(errors="replace") for name in form.keys() & {"q", "alone"}}
            return shown(request, asked, await search.answer(asked, form.get("image", b"")))

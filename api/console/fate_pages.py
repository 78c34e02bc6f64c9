"""The page of what became of an event, and that of the events behind a pair."""

from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.bodies import HttpFault
from api.console.console_letters import LETTERS
from api.console.console_pages import page
from api.console.page_table import Cells, PageTable, file_links
from api.console.query_pages import QUERIES
from api.event_fates import RECORDS_READ, EventFates
from api.following import StateFollower
from api.pair_credits import RECORDS_READ as CREDITS_READ
from api.pair_credits import CreditReading, PairCredit
from operations.fate_words import METHODS, duration, in_a_sentence
from operations.moments import MomentError, moment
from schemas.bounds import EVENT_ID_CHARS
from schemas.event_fate import EventFate, LineTold
from schemas.pairs import day_text
from schemas.text import normalise_query

FATE = f"{LETTERS}/event"


def fate_pages(fates: EventFates, read: CreditReading, follower: StateFollower) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get(FATE)
    async def console_fate(request: Request) -> Response:
        asked = {name: request.query_params.get(name, "").strip() for name in ("id", "since", "record")}
        found = await _asked(fates, asked)
        fate = found if isinstance(found, EventFate) else None
        fault = found if isinstance(found, HttpFault) else None
        own = PageTable("event", fate_rows(fate) if fate else [])
        return own.asked(request) or page(
            "event.html",
            section=LETTERS,
            status=fault.status if fault else 200,
            files=file_links(request) if own.rows else (),
            as_of=follower.as_of,
            asked=asked,
            fate=fate,
            fault=fault,
            sentence=in_a_sentence(fate) if fate else "",
            most=RECORDS_READ,
            longest=EVENT_ID_CHARS,
            methods=METHODS,
            after=duration,
            day_text=day_text,
        )

    @router.get(f"{QUERIES}/pairs/events")
    async def console_pair_events(request: Request) -> Response:
        query = normalise_query(request.query_params.get("q", ""))
        product_id = request.query_params.get("product", "")
        found: list[PairCredit] | HttpFault = await read(query, product_id) if query and product_id else []
        fault, rows = (found, list[PairCredit]()) if isinstance(found, HttpFault) else (None, found)
        own = PageTable("credits", [asdict(one) | {"day": day_text(one.day)} for one in rows])
        return own.asked(request) or page(
            "pair_events.html",
            section=QUERIES,
            status=fault.status if fault else 200,
            files=file_links(request) if rows else (),
            as_of=follower.as_of,
            fault=fault,
            query=query,
            product_id=product_id,
            rows=rows,
            most=CREDITS_READ,
            day_text=day_text,
        )

    return router


def fate_rows(fate: EventFate) -> list[Cells]:
    """Return the lines of an event, and those that belong to it, as cells."""
    return [
        _cells(line, belongs=belongs)
        for event in fate.events
        for belongs, lines in ((False, event.now), (True, event.led_to))
        for line in lines
    ]


def _cells(line: LineTold, *, belongs: bool) -> Cells:
    day = None if line.day is None else day_text(line.day)
    whole = {"credit": line.credit / 1000, "day": day, "belongs_to_the_search": belongs}
    return line.model_dump(mode="json") | whole


async def _asked(fates: EventFates, asked: dict[str, str]) -> EventFate | HttpFault | None:
    if asked["record"]:
        gone = HttpFault(404, "not_found", f"No event lies at {asked['record'][:100]} any more.")
        return await fates.at(asked["record"]) or gone
    if not asked["id"]:
        return None
    if len(asked["id"]) > EVENT_ID_CHARS:
        return HttpFault(422, "unfit", f"An id has at most {EVENT_ID_CHARS} characters.")
    try:
        since = moment(asked["since"]) if asked["since"] else None
    except MomentError as error:
        return HttpFault(422, "unfit", str(error))
    return await fates.named(asked["id"], since)

"""The page of producers: how good the events of each are, by day, with a sample of each fault."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.bodies import HttpFault
from api.console.console_pages import page
from api.console.page_table import PageTable, file_links
from api.following import StateFollower
from api.recent_producers import RECORDS_READ, RecentProducers
from schemas.topics import dead_letter_name

PRODUCERS = "/console/producers"
_SHOWN = 100


def producer_pages(recent: RecentProducers, follower: StateFollower, prefix: str) -> APIRouter:
    """Return the route of the page. ``prefix``: that of topics."""
    router = APIRouter()

    def bare(topic: str) -> str:
        return topic.removeprefix(prefix).removesuffix(dead_letter_name(""))

    @router.get(PRODUCERS)
    async def console_producers(request: Request) -> Response:
        found = await recent.found()
        fault = found if isinstance(found, HttpFault) else None
        days = [] if isinstance(found, HttpFault) else found.producers
        own = PageTable("producers", [one.model_dump(mode="json", exclude={"samples"}) for one in days])
        return own.asked(request) or page(
            "producers.html",
            section=PRODUCERS,
            status=fault.status if fault else 200,
            files=file_links(request) if days else (),
            as_of=follower.as_of,
            fault=fault,
            found=found,
            most=RECORDS_READ,
            shown=_SHOWN,
            bare=bare,
        )

    return router

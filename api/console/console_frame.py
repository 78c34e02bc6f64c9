"""What every page of the console has: the page around it, its files, and word when something has changed."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from api.bodies import BUSY, Capacity, HttpFault, Place
from api.console.arrival_rates import ArrivalRates
from api.console.console_pages import page, static_file
from api.console.gauges import EVERY_S, TopicGauges
from api.console.page_table import PageTable, file_links
from api.following import StateFollower
from api.operating import Operating
from api.refusals import refusal

# Of a list so much is shown on its page.
SHOWN_ROWS = 50
# A browser that listens begins anew after so long, so that none is held for ever.
_LISTEN_S = 300.0
_LISTENERS = 64


class Console:
    """What its pages are made of."""

    def __init__(
        self,
        operating: Operating,
        gauges: TopicGauges,
        arrivals: ArrivalRates,
        stopping: asyncio.Event,
    ) -> None:
        self.operating = operating
        self.follower: StateFollower = operating.follower
        self.state = operating.state
        self.gauges = gauges
        self.arrivals = arrivals
        self._stopping = stopping
        self._listening = Capacity(_LISTENERS, 0)

    def shown(
        self,
        template: str,
        *,
        section: str,
        status: int = 200,
        files: Sequence[tuple[str, str]] = (),
        **shown: object,
    ) -> Response:
        """Return a page, and as of when it holds."""
        return page(template, section=section, status=status, files=files, as_of=self.follower.as_of, **shown)

    def tabled(
        self,
        request: Request,
        own: PageTable,
        template: str,
        *,
        section: str,
        status: int = 200,
        **shown: object,
    ) -> Response:
        """Return a page, or its table as the file that the address asks for."""
        if (file := own.asked(request)) is not None:
            return file
        files = file_links(request) if own.rows and request.method == "GET" else ()
        return self.shown(template, section=section, status=status, files=files, **shown)

    def watched(self) -> None:
        """Say that somebody looks, so that rates are measured for some seconds more."""
        self.gauges.watched()
        self.arrivals.watched()

    def listen(self) -> Place | None:
        """Return a place to listen from; None where as many listen as may."""
        return self._listening.enter()

    async def changes(self, place: Place) -> AsyncIterator[str]:
        """Yield an event whenever there is something new to show, at least every two seconds."""
        with place:
            async for event in self._events():
                yield event

    async def _events(self) -> AsyncIterator[str]:
        end = asyncio.get_running_loop().time() + _LISTEN_S
        while not self._stopping.is_set() and asyncio.get_running_loop().time() < end:
            self.watched()
            yield "event: changed\ndata: \n\n"
            await self.follower.next_move(within_s=EVERY_S)


def frame_routes(router: APIRouter, console: Console) -> None:
    """Add what every page loads."""

    @router.get("/console/static/{name}")
    async def console_static(name: str) -> Response:
        found = static_file(name)
        return found or refusal(HttpFault(404, "not_found", "there is no such file"))

    @router.get("/console/live")
    async def console_live() -> Response:
        place = console.listen()
        if place is None:
            return refusal(BUSY)
        return StreamingResponse(console.changes(place), media_type="text/event-stream")

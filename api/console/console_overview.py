"""The address of the overview."""

from dataclasses import asdict
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.console.console_frame import Console
from api.console.overview import (
    alarms,
    freshest,
    kind_of,
    last_run,
    searchers,
    serving_since,
    stages,
)
from api.console.page_table import PageTable

OVERVIEW = "/console"


def overview_routes(router: APIRouter, console: Console) -> None:
    """Add the page."""

    @router.get(OVERVIEW)
    async def console_overview(request: Request) -> Response:
        console.watched()
        state, now = console.state, datetime.now(UTC)
        steps = stages(state, console.gauges, now)
        return console.tabled(
            request,
            PageTable("loop", [asdict(step) for step in steps]),
            "overview.html",
            section=OVERVIEW,
            stages=steps,
            alarms=alarms(state, console.gauges, now),
            pointer=state.releases.pointer,
            kind=kind_of(state),
            since=serving_since(state),
            run=last_run(state),
            freshest=freshest(state),
            searchers=searchers(state, now),
            credited=console.arrivals.per_s("credit"),
            refused=console.arrivals.per_s("refused"),
        )

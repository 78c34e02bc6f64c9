"""The address of the releases."""

from datetime import UTC, datetime
from itertools import islice

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.console.consequences import STANDING
from api.console.console_frame import SHOWN_ROWS, Console
from api.console.overview import kind_of, serving_since
from api.console.page_table import PageTable
from api.telling import command_told
from operations.moments import history

RELEASES = "/console/releases"
_ASKED_SHOWN = 20


def release_routes(router: APIRouter, console: Console) -> None:
    """Add the page."""
    state = console.state

    @router.get(RELEASES)
    async def console_releases(request: Request) -> Response:
        now = datetime.now(UTC)
        command = state.commands.get(request.query_params.get("command", ""))
        periods = history(list(state.history)[::-1])[::-1]
        releases = [r for r in state.releases.releases[::-1] if r.kind == "full" or r.state in STANDING]
        return console.tabled(
            request,
            PageTable("releases", [one.model_dump(mode="json") for one in releases[:SHOWN_ROWS]]),
            "releases.html",
            section=RELEASES,
            pointer=state.releases.pointer,
            kind=kind_of(state),
            since=serving_since(state),
            periods=periods[:SHOWN_ROWS],
            more=len(periods) > SHOWN_ROWS,
            releases=releases[:SHOWN_ROWS],
            standing=STANDING,
            command=command_told(state, command, now) if command else None,
            asked=[command_told(state, one, now) for one in islice(state.commands, _ASKED_SHOWN)],
        )

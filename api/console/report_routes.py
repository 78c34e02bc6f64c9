"""The page that the trainer has made of a run's evaluation, out of the artefact store."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog
from fastapi import APIRouter
from starlette.responses import Response

from api.bodies import BUSY, Capacity, HttpFault
from api.operator_state import OperatorState
from api.refusals import refusal
from artefacts.folders import StoreAwayError, StoredFolderError, is_of
from artefacts.located import folders_of
from schemas.settings import ApiSettings, SettingsError
from schemas.training import REPORT

log = structlog.get_logger(__name__)

_MOST_BYTES = 32 * 2**20
# It is shown, and can do nothing: no script, no form, no address of ours is its own.
_HARMLESS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
}
_AWAY = HttpFault(503, "unavailable", "the store of reports does not answer", 1000)
_NONE = HttpFault(404, "not_found", "there is no such report, or it is no longer kept")


def reports_of(settings: ApiSettings) -> Callable[[str], Path]:
    """Return what fetches a folder of the deployment's store, which is opened when it is asked."""
    return lambda name: folders_of(settings).local(name)


def report_routes(state: OperatorState, local: Callable[[str], Path], reading: Capacity) -> APIRouter:
    """Return the route. ``local`` fetches a folder of the store; ``reading``: how many at once."""
    router = APIRouter()

    def read(name: str) -> bytes | None:
        path = local(name) / REPORT
        return path.read_bytes() if path.stat().st_size <= _MOST_BYTES else None

    @router.get("/console/runs/{run_id}/report")
    async def console_report(run_id: str) -> Response:
        run = state.runs.get(run_id)
        if run is None or run.report is None or not is_of("reports", run.report):
            return refusal(_NONE)
        place = reading.enter()
        if place is None:
            return refusal(BUSY)
        with place:
            try:
                found = await asyncio.to_thread(read, run.report)
            except (StoreAwayError, SettingsError) as error:
                log.warning("a report cannot be shown", reason=str(error))
                return refusal(_AWAY)
            except (StoredFolderError, OSError) as error:
                log.warning("a report cannot be shown", reason=str(error))
                return refusal(_NONE)
        if found is None:
            return refusal(_NONE)
        return Response(found, media_type="text/html", headers=_HARMLESS)

    return router

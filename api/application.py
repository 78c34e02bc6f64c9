"""The application: its routes, and what is said where there is none."""

import json
from collections.abc import Iterable

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.bodies import HttpFault
from api.description import description
from api.docs_page import docs_page
from api.page_script import script_routes
from api.refusals import JSON, refusal
from api.roles import ROLES, NotAllowedError, admit

_NOTHING_OUTSIDE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


def application(routers: Iterable[APIRouter]) -> FastAPI:
    """Return the application with these routes.

    No page of it names an address outside, so the library's own pages are off.
    """
    app = FastAPI(
        title="searchloop",
        openapi_url=None,  # ours is made from the models that judge: its routes take raw bodies
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(admit)],
        exception_handlers={
            HTTPException: _no_route,
            NotAllowedError: _not_allowed,
            Exception: _fault_of_ours,
        },
    )
    for router in (*routers, script_routes()):
        app.include_router(router)

    @app.get("/openapi.json")
    async def openapi() -> Response:
        return Response(json.dumps(description()), media_type=JSON)

    @app.get("/docs")
    async def docs() -> Response:
        return Response(docs_page(description()), media_type="text/html", headers=_NOTHING_OUTSIDE)

    return app


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: "there is nothing under this path", 405: "this path does not take that method"}
    response = refusal(HttpFault(status, f"http_{status}", words.get(status, "the request is refused")))
    if status == 405:  # the library names the methods of one route, of those that share a path
        path = request.scope["route"].path_format
        response.headers["Allow"] = ", ".join(sorted(method for method, own in ROLES if own == path))
    return response


async def _not_allowed(_: Request, error: Exception) -> Response:
    assert isinstance(error, NotAllowedError)
    return refusal(error.fault)


async def _fault_of_ours(_: Request, error: Exception) -> Response:
    # The library logs the traceback.
    return refusal(HttpFault(500, "processing_error", f"a fault of the API: {type(error).__name__}"))

"""``searchloop.js``: what a shop's pages load to tell what their shoppers do. Any page may."""

import base64
import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

PATH = "/searchloop.js"
_KEPT_S = 3600


@cache
def script() -> bytes:
    """Return the script."""
    return Path(__file__).with_name("searchloop.js").read_bytes()


def integrity() -> str:
    """Return what a page says of the script in ``integrity``, so that no other is run in its place."""
    return "sha384-" + base64.b64encode(hashlib.sha384(script()).digest()).decode()


def script_routes() -> APIRouter:
    """Return the route of the script."""
    router = APIRouter()
    headers = {
        "Access-Control-Allow-Origin": "*",  # a page reads it to compare its hash
        "Cache-Control": f"public, max-age={_KEPT_S}",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }

    @router.get(PATH)
    async def searchloop_js() -> Response:
        return Response(script(), media_type="text/javascript", headers=headers)

    return router

"""Prepared pictures of products for the pages, out of the artefact store, by key.

A key is made of what a picture shows, so an address never has another content and a browser may keep it.
"""

import asyncio

import structlog
from fastapi import APIRouter
from starlette.responses import Response

from api.bodies import BUSY, Capacity, HttpFault
from api.refusals import refusal
from media.pictures import Pictures, StorageError
from media.preparation import is_picture_key
from media.sniffing import format_of

log = structlog.get_logger(__name__)

# A prepared picture of noise takes a fifth of it.
_MOST_BYTES = 2 * 2**20
_KEPT = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'",
}
_AWAY = HttpFault(503, "unavailable", "the store of pictures does not answer", 1000)
_NONE = HttpFault(404, "not_found", "there is no such picture")


def picture_routes(read: Pictures, reading: Capacity) -> APIRouter:
    """Return the route. ``reading``: how many are read at once; one more is told to come again."""
    router = APIRouter()

    @router.get("/console/pictures/{preparation}/{begin}/{sha256}")
    async def console_picture(preparation: str, begin: str, sha256: str) -> Response:
        key = f"pictures/{preparation}/{begin}/{sha256}"
        if not is_picture_key(key):
            return refusal(_NONE)
        place = reading.enter()
        if place is None:
            return refusal(BUSY)
        with place:
            try:
                found = await asyncio.to_thread(read, key)
            except StorageError as error:
                log.warning("a picture cannot be shown", reason=str(error))
                return refusal(_AWAY)
        if found is None or len(found) > _MOST_BYTES or format_of(found) != "WEBP":
            return refusal(_NONE)
        return Response(found, media_type="image/webp", headers=_KEPT)

    return router

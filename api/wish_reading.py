"""From a request with a body to what comes of its wish: a place, the bytes, what they ask for."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import BUSY, JSON_TYPES, Capacity, HttpFault, Place, read_body, wrong_type
from api.refusals import refusal
from api.roles import caller_of
from api.wishes import wish_of
from schemas.bounds import REQUEST_BYTES

W = TypeVar("W", bound=BaseModel)
Done = HttpFault | Response


async def carried_out(
    request: Request,
    capacity: Capacity,
    kind: type[W],
    do: Callable[[W, Place], Awaitable[Done]],
    *,
    most: int = REQUEST_BYTES,
) -> Response:
    """Return what comes of a wish, or why it is not worked on."""
    place = capacity.enter()
    if place is None:
        return refusal(BUSY)
    with place:
        body = wrong_type(request, JSON_TYPES) or await read_body(
            request, place, most=caller_of(request).most(most)
        )
        wish = body if isinstance(body, HttpFault) else wish_of(body, kind)
        done = wish if isinstance(wish, HttpFault) else await do(wish, place)
    return refusal(done) if isinstance(done, HttpFault) else done

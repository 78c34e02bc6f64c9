"""From bytes to a search request, or to the reason why they are none: on the topic and over HTTP alike.

A request is small but for its picture: what it says beside it has at most ``REQUEST_BYTES``.
"""

import re

from schemas.bounds import (
    IMAGE_BYTES,
    IMAGE_CHARS,
    REQUEST_BYTES,
    SEARCH_BATCH_BYTES,
    SEARCH_BATCH_IMAGES,
)
from schemas.decoding import read, refuse
from schemas.image_field import TOO_LARGE
from schemas.rejections import Reason, Rejection
from schemas.search import SearchRequest

LARGEST_REQUEST = REQUEST_BYTES + IMAGE_CHARS
LARGEST_BATCH = SEARCH_BATCH_BYTES + SEARCH_BATCH_IMAGES * IMAGE_CHARS
_PICTURE = re.compile(rb'"image"\s*:\s*"([^"]*)"')


def read_request(raw: bytes | None) -> SearchRequest | Rejection:
    """Return the request that ``raw`` holds.

    Refusals: ``too_large``, ``image_too_large``, and those of ``schemas.decoding.read``.
    """
    if raw is not None and (fault := oversize(raw)) is not None:
        return fault
    found = read(raw, SearchRequest, max_bytes=LARGEST_REQUEST)
    if isinstance(found, SearchRequest):
        return found
    large = next((p for p in found.problems if p.type == TOO_LARGE), None)
    return found if large is None else refuse(Reason.IMAGE_TOO_LARGE, large.loc, large.message)


def oversize(raw: bytes, *, most: int = REQUEST_BYTES, largest: int = LARGEST_REQUEST) -> Rejection | None:
    """Say what of a JSON text is too large: all beside its pictures, at most ``most``, or they themselves.

    Before anything is parsed: a text is quickly read, conditions are not.
    """
    if len(raw) <= most:
        return None
    pictures = sum(len(found[1]) for found in _PICTURE.finditer(raw))
    if len(raw) - pictures > most:
        return refuse(Reason.TOO_LARGE, message=f"a request has at most {most} bytes beside its pictures")
    if len(raw) > largest:
        return refuse(Reason.IMAGE_TOO_LARGE, "image", f"a picture has at most {IMAGE_BYTES} bytes")
    return None

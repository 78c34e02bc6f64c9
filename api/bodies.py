"""The body of a request, whole or not at all, and how much may be held at once.

A body is bounded in bytes, also after decompression, and in time. What is wrong with it is an ``HttpFault``,
which names the HTTP status; nothing here knows what a body says.
"""

import asyncio
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from starlette.requests import ClientDisconnect, Request

from schemas.bounds import POSTED_RECORDS

BODY_S = 30.0
_GZIP = 16 + zlib.MAX_WBITS
# What follows a member is copied: by pieces, or a body of small members costs their number squared.
_PIECE = 1 << 14
# One for each record at most.
_MEMBERS = POSTED_RECORDS
JSON_TYPES = frozenset({"application/json"})


@dataclass(frozen=True)
class HttpFault:
    """Why a request is not worked on: the HTTP status, a code for programs and a sentence for people."""

    status: int
    code: str
    message: str
    retry_after_ms: int | None = None


BUSY = HttpFault(429, "busy", "the API works on as much as it takes at once: try again", 1000)


class Capacity:
    """What may be worked on at once: so many requests, and so many bytes of their bodies together.

    Half of both is kept from ``public`` ones, by keys that lie in pages: they may wait for as long as they
    like, and whoever takes such a key from its page may make any number of them.
    """

    def __init__(self, requests: int, held_bytes: int) -> None:
        self._requests, self._bytes = requests, held_bytes
        self._kept_requests, self._kept_bytes = requests // 2, held_bytes // 2

    def enter(self, *, public: bool = False) -> "Place | None":
        """Return a place, which must be left again; None when there is none."""
        if self._requests - (self._kept_requests if public else 0) < 1:
            return None
        self._requests -= 1
        return Place(self, public=public)

    def take(self, size: int, *, public: bool = False) -> bool:
        """Take so many bytes, if there are as many."""
        if size > self._bytes - (self._kept_bytes if public else 0):
            return False
        self._bytes -= size
        return True

    def give_back(self, requests: int, size: int) -> None:
        """Return what was taken."""
        self._requests += requests
        self._bytes += size


class Place:
    """One request's part of a capacity. As a context manager it is left at the end of the block."""

    def __init__(self, capacity: Capacity | None, *, public: bool = False) -> None:
        self._capacity, self._public = capacity, public
        self._bytes = 0

    def take(self, size: int) -> bool:
        """Take room for so many more bytes, if there is any."""
        if self._capacity is None or not self._capacity.take(size, public=self._public):
            return False
        self._bytes += size
        return True

    def leave(self) -> None:
        """Give everything back; more than once does no harm."""
        if self._capacity is not None:
            self._capacity.give_back(1, self._bytes)
            self._capacity = None

    def handed_on(self) -> "Place":
        """Return a place in this one's stead; leaving this one has no effect any more."""
        heir = Place(self._capacity, public=self._public)
        heir._bytes, self._capacity = self._bytes, None
        return heir

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


def content_type(request: Request) -> str:
    """Return the media type of a body without its parameters, in lower case; empty when it is not said."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def wrong_type(request: Request, known: Collection[str]) -> HttpFault | None:
    """Return the refusal of a body of any other media type.

    Also of one without: a page of another site may send that, and text, with nobody's consent.
    """
    found = content_type(request)
    if found in known:
        return None
    said = f"{found[:100]!r} is not" if found else "a content type is missing, and must be"
    return HttpFault(415, "content_type", f"{said} one of {', '.join(sorted(known))}")


async def read_body(
    request: Request, place: Place, *, most: int, within_s: float = BODY_S
) -> bytes | HttpFault:
    """Return the body, decompressed. The bytes are taken from the room as they come."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        return HttpFault(415, "content_encoding", "the content encoding may be gzip, or there is none")
    try:
        async with asyncio.timeout(within_s):
            packed = await _received(request, place, most)
    except TimeoutError:
        return HttpFault(408, "slow_body", f"the body did not come within {within_s:g} s")
    except ClientDisconnect:
        return HttpFault(400, "disconnected", "the client left before its body had come")
    if isinstance(packed, HttpFault) or encoding == "identity":
        return packed
    plain = unpacked(packed, most)
    return BUSY if isinstance(plain, bytes) and not place.take(len(plain)) else plain


async def _received(request: Request, place: Place, most: int) -> bytes | HttpFault:
    said = request.headers.get("content-length", "")
    if said.isdecimal() and (len(said) > len(str(most)) or int(said) > most):
        return _too_large(most)
    received = bytearray()
    async for chunk in request.stream():
        if len(received) + len(chunk) > most:
            return _too_large(most)
        if not place.take(len(chunk)):
            return BUSY
        received += chunk
    return bytes(received)


def _too_large(most: int) -> HttpFault:
    return HttpFault(413, "too_large", f"a body has at most {most} bytes, also when it is unpacked")


def unpacked(packed: bytes, most: int) -> bytes | HttpFault:
    """Return what a gzip of one or more members holds, unless that is more than ``most`` bytes."""
    found, member, members = bytearray(), zlib.decompressobj(_GZIP), 0
    try:
        for begin in range(0, len(packed), _PIECE):
            rest = packed[begin : begin + _PIECE]
            while rest:
                if member.eof:
                    member, members = zlib.decompressobj(_GZIP), members + 1
                if members == _MEMBERS:
                    return HttpFault(400, "content_encoding", f"a gzip has at most {_MEMBERS} members")
                found += member.decompress(rest, most - len(found) + 1)
                if len(found) > most:
                    return _too_large(most)
                rest = member.unused_data
    except zlib.error:
        return HttpFault(400, "content_encoding", "the body is no gzip")
    if not member.eof:
        return HttpFault(400, "content_encoding", "the gzip ends too early")
    return bytes(found)

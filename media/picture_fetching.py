"""Fetch a picture from an address that somebody else wrote: under rules, or not at all.

Every hop is judged by ``media.addresses`` before its name is looked up, and every machine when its socket is
made, so the machine that was judged is the one that is connected to, whatever the name says a moment later.
No proxy, no cookie, no account, no compressed transfer.
"""

import asyncio
import socket
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from media.addresses import FetchRules, may_contact, refusal_of
from schemas.decoding import refuse
from schemas.rejections import Reason, Rejection

_HEADERS = {
    "Accept": "image/jpeg, image/png, image/webp, image/gif",
    "Accept-Encoding": "identity",
    "User-Agent": "searchloop",
}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK_BYTES = 65_536


class ForbiddenMachineError(PermissionError):
    """A name leads to a machine that may not be contacted."""


class _TryLaterError(Exception):
    """What may be otherwise in a moment, in words."""


class PictureFetcher:
    """One client for all pictures. ``resolver`` None: that of the system."""

    def __init__(
        self, rules: FetchRules, *, at_once: int = 8, resolver: AbstractResolver | None = None
    ) -> None:
        self._rules = rules
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=at_once, resolver=resolver, socket_factory=self._judged_socket
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            auto_decompress=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def fetch(self, address: str) -> bytes | Rejection:
        """Return the bytes at an address, or why not: ``image_fetch`` or ``image_too_large``.

        What may pass (a server that is busy, a connection that breaks) is tried again a few times, all within
        the time of one picture. The refusal names nothing of the address.
        """
        try:
            async with asyncio.timeout(self._rules.seconds):
                return await self._persistent(address)
        except TimeoutError:
            return refuse(Reason.IMAGE_FETCH, message=f"not there within {self._rules.seconds:g} s")

    async def _persistent(self, address: str) -> bytes | Rejection:
        why = ""
        for attempt in range(self._rules.attempts):
            if attempt:
                await asyncio.sleep(self._rules.pause_s * 2**attempt)
            try:
                return await self._followed(address)
            except _TryLaterError as error:
                why = str(error)
        return refuse(Reason.IMAGE_FETCH, message=f"{why}, {self._rules.attempts} times")

    async def _followed(self, address: str) -> bytes | Rejection:
        for _ in range(self._rules.redirects + 1):
            why = refusal_of(address, self._rules)
            if why is not None:
                return refuse(Reason.IMAGE_FETCH, message=why)
            try:
                found = await self._asked(URL(address))
            except aiohttp.ClientConnectorError as error:
                if isinstance(error.os_error, ForbiddenMachineError):
                    return refuse(Reason.IMAGE_FETCH, message="a private machine that no setting allows")
                raise _TryLaterError("no connection") from error
            except (aiohttp.InvalidURL, aiohttp.InvalidUrlClientError) as error:
                return refuse(Reason.IMAGE_FETCH, message=f"no answer to read: {type(error).__name__}")
            except (aiohttp.ClientError, OSError) as error:
                raise _TryLaterError("the connection broke") from error
            except ValueError as error:
                return refuse(Reason.IMAGE_FETCH, message=f"no answer to read: {type(error).__name__}")
            if not isinstance(found, URL):
                return found
            address = str(found)
        return refuse(Reason.IMAGE_FETCH, message=f"more than {self._rules.redirects} redirects")

    async def _asked(self, url: URL) -> bytes | URL | Rejection:
        most = self._rules.most_bytes
        async with self._session.get(url, allow_redirects=False) as answer:
            if answer.status in _REDIRECTS and "Location" in answer.headers:
                return url.join(URL(answer.headers["Location"]))
            if answer.status in _LATER:
                raise _TryLaterError(f"status {answer.status}")
            if answer.status != 200:
                return refuse(Reason.IMAGE_FETCH, message=f"status {answer.status}")
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                return refuse(Reason.IMAGE_FETCH, message="compressed, which was not asked for")
            data = bytearray()
            if (answer.content_length or 0) <= most:
                async for piece in answer.content.iter_chunked(_CHUNK_BYTES):
                    data += piece
                    if len(data) > most:
                        break
                else:
                    return bytes(data)
            answer.close()  # what is left of it is not read
            return refuse(Reason.IMAGE_TOO_LARGE, message=f"more than {most} bytes")

    def _judged_socket(self, found: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, machine = found
        if not may_contact(machine[0], self._rules.networks):
            raise ForbiddenMachineError("a machine that may not be contacted")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

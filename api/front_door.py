"""What happens to every request before and after its route: kept out or let in, counted, timed."""

import time
from collections.abc import Collection, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bodies import HttpFault
from api.callers import kept_out
from api.credentials import key_shown
from api.keyring import Keyring
from api.metrics import IN_FLIGHT, RESPONSES, SECONDS
from api.refusals import refusal
from api.roles import WRONG_KEY, Caller

_ALWAYS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class FrontDoor:
    """The application behind it, as an ASGI application.

    ``open_to_all``: while there is no key, nobody is asked for one. ``scope["caller"]`` says who asks.
    """

    def __init__(self, app: ASGIApp, names: Collection[str], keys: Keyring, *, open_to_all: bool) -> None:
        self._app = app
        self._names = frozenset(names)
        self._keys = keys
        self._open_to_all = open_to_all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started, code = time.perf_counter(), 500
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                added = [*_ALWAYS, *(_challenge(headers) if code == 401 else ())]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        caller = self._caller(headers)
        with IN_FLIGHT.track_inprogress():
            try:
                if isinstance(caller, HttpFault):
                    await refusal(caller)(scope, receive, noted)
                else:
                    scope["caller"] = caller
                    await self._app(scope, receive, noted)
            finally:
                route = getattr(scope.get("endpoint"), "__name__", "none")
                RESPONSES.labels(route, str(code)).inc()
                SECONDS.labels(route).observe(time.perf_counter() - started)

    def _caller(self, headers: Mapping[str, str]) -> Caller | HttpFault:
        """Return who asks, or why they are not let in."""
        why = kept_out(headers, self._names)
        if why is not None:
            return HttpFault(403, "forbidden", why)
        if self._open_to_all and not len(self._keys):
            return Caller(None, anything=True)
        shown = key_shown(headers)
        if shown is None:
            return Caller(None)
        holder = self._keys.holder(shown)
        return WRONG_KEY if holder is None else Caller(holder)


def _challenge(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return how a key is shown. A browser asks a person for one by Basic, and only where it shows a page."""
    schemes = ["Bearer"] + ["Basic"] * ("text/html" in headers.get("accept", ""))
    return [(b"www-authenticate", f'{scheme} realm="searchloop"'.encode()) for scheme in schemes]

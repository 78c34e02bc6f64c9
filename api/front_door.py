"""What happens to every request before and after its route: kept out or let in, counted, timed."""

import time
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bodies import HttpFault
from api.callers import kept_out
from api.metrics import IN_FLIGHT, RESPONSES, SECONDS
from api.refusals import refusal

_ALWAYS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class FrontDoor:
    """The application behind it, as an ASGI application."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started, code = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_ALWAYS]}
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        why = kept_out(headers, self._names)
        with IN_FLIGHT.track_inprogress():
            try:
                if why is None:
                    await self._app(scope, receive, noted)
                else:
                    await refusal(HttpFault(403, "forbidden", why))(scope, receive, noted)
            finally:
                route = getattr(scope.get("endpoint"), "__name__", "none")
                RESPONSES.labels(route, str(code)).inc()
                SECONDS.labels(route).observe(time.perf_counter() - started)

"""What happens to every request before and after its route: kept out or let in, counted, timed."""

import time
from collections.abc import Collection, Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bodies import HttpFault
from api.caller import NOBODY, Caller
from api.cors import allowed, is_preflight, preflight
from api.credentials import key_in_address, key_shown
from api.keyring import Keyring
from api.metrics import IN_FLIGHT, RESPONSES, SECONDS
from api.page_origins import other_page, unknown_name
from api.page_script import PATH
from api.refusals import refusal
from api.roles import NO_KEY, WRONG_KEY
from process.spans import Spans
from schemas.traceparent import TRACEPARENT, parent_in

_IN_ADDRESS = HttpFault(
    403,
    "forbidden",
    "a key in the address is one for pages that writes events and nothing else: others would "
    "stand in logs; show it by Authorization",
)
_ALWAYS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class FrontDoor:
    """The application behind it, as an ASGI application.

    ``open_to_all``: while there is no key, nobody is asked for one. ``spans``: where requests are told of.
    ``scope["caller"]`` says who asks, ``scope["trace"]`` by which ``traceparent`` it is followed, if by any.
    """

    def __init__(
        self,
        app: ASGIApp,
        names: Collection[str],
        keys: Keyring,
        *,
        open_to_all: bool,
        spans: Spans | None = None,
    ) -> None:
        self._app = app
        self._names = frozenset(names)
        self._keys = keys
        self._open_to_all = open_to_all
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started, code = time.perf_counter(), 500
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        span = self._spans.begin(parent_in(headers.get(TRACEPARENT))) if self._spans else None
        scope["trace"] = trace = span.traceparent if span else parent_in(headers.get(TRACEPARENT))

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                added = [*_ALWAYS, *allowed(headers, self._keys.origins)]
                added += _challenge(headers) if code == 401 else []
                added += [(TRACEPARENT.encode(), trace.encode())] if trace else []
                own = list(message.get("headers", ()))
                named = {name for name, _ in own}
                message = {**message, "headers": own + [one for one in added if one[0] not in named]}
            await send(message)

        caller = self._let_in(scope, headers)
        with IN_FLIGHT.track_inprogress():
            try:
                if isinstance(caller, HttpFault):
                    await refusal(caller)(scope, receive, noted)
                elif is_preflight(scope["method"], headers):
                    await _answered_first()(scope, receive, noted)
                else:
                    scope["caller"] = caller
                    await self._app(scope, receive, noted)
            finally:
                route = getattr(scope.get("endpoint"), "__name__", "none")
                RESPONSES.labels(route, str(code)).inc()
                SECONDS.labels(route).observe(time.perf_counter() - started)
                if span:
                    told = {"http.request.method": scope["method"], "http.response.status_code": code}
                    span.end(f"{scope['method']} {route}", told, failed=code >= 500)

    def _let_in(self, scope: Scope, headers: Mapping[str, str]) -> Caller | HttpFault:
        """Return who asks, or why they are not let in. The script, and leave to ask, are for anybody."""
        if (why := unknown_name(headers, self._names)) is not None:
            return HttpFault(403, "forbidden", why)
        if self._asks_first(scope, headers) or scope["path"] == PATH:
            return NOBODY
        now_s = time.monotonic()
        caller = self._caller(headers, scope["query_string"], now_s)
        if isinstance(caller, HttpFault):
            return caller
        page = other_page(headers)
        if page is not None and not caller.may_come_from(page):
            what = (
                "this key is not for pages of" if caller.key else "without a key for it no page may call from"
            )
            return HttpFault(403, "forbidden", f"{what} {page[:100] or 'another site'}")
        return caller.too_much(now_s) or caller

    def _caller(self, headers: Mapping[str, str], query: bytes, now_s: float) -> Caller | HttpFault:
        """Return whose key is shown; a key in the address is believed only where it lies open anyway."""
        if self._open_to_all and not len(self._keys):
            return Caller(anything=True)
        shown = key_shown(headers)
        asked = key_in_address(query) if shown is None else shown
        if asked is None:
            return NO_KEY if other_page(headers) else NOBODY
        caller = self._keys.holder(asked, now_s)
        if caller is None:
            return WRONG_KEY
        if shown is None and not (caller.key and caller.key.only_writes_events):
            return _IN_ADDRESS
        return caller

    def _asks_first(self, scope: Scope, headers: Mapping[str, str]) -> bool:
        """Say whether a browser asks for leave, for a page of an origin that some key is for."""
        return is_preflight(scope["method"], headers) and headers["origin"] in self._keys.origins


def _answered_first() -> Response:
    response = Response(status_code=204)
    response.raw_headers += preflight()
    return response


def _challenge(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return how a key is shown. A browser asks a person for one by Basic, and only where it shows a page."""
    schemes = ["Bearer"] + ["Basic"] * ("text/html" in headers.get("accept", ""))
    return [(b"www-authenticate", f'{scheme} realm="searchloop"'.encode()) for scheme in schemes]

"""The socket of the API, and the web server on it."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from schemas.settings import ApiSettings, SettingsError

_DRAIN_S = 10
# So long a connection waits for the head of a request, the first as well as the next.
_IDLE_S = 30


def listen(settings: ApiSettings) -> socket.socket:
    """Return a socket that listens. A port that nobody named may be taken: then it is any free one.

    Raises ``SettingsError`` where the settings name what cannot be listened on.
    """
    host, named = settings.api_host, "api_port" in settings.model_fields_set
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (settings.api_port, 0):
        try:
            listening = socket.create_server((host, port), family=family, backlog=512)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or named or not port:
                raise SettingsError(
                    f"the API cannot listen on {host}:{port} ({error.strerror}): SEARCHLOOP_API_HOST and "
                    "SEARCHLOOP_API_PORT say where"
                ) from error
        else:
            # Head and body of an answer are written apart: by Nagle's algorithm the body waits 40 ms for
            # the client to acknowledge the head. asyncio turns it off only where a socket names its protocol.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return listening
    raise AssertionError


def is_loopback(listening: socket.socket) -> bool:
    """Say whether only this machine reaches it."""
    return ip_address(listening.getsockname()[0]).is_loopback


def address_of(listening: socket.socket, *, tls: bool) -> str:
    """Return where a browser on this machine finds it."""
    host, port = listening.getsockname()[:2]
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


class WebServer(uvicorn.Server):
    """A server whose end is asked for by ``should_exit`` alone: signals are the process's business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


class _Connection(H11Protocol):
    """One that ends when no request comes: the library waits for ever for the first, and while bytes drip."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._wait_until(self.loop.time() + self.timeout_keep_alive)

    def data_received(self, data: bytes) -> None:
        """Wait on where the bytes complete no head, and no longer than without them."""
        waiting = self.timeout_keep_alive_task
        super().data_received(data)
        answered = self.cycle is None or self.cycle.response_complete
        if waiting and answered and not self.timeout_keep_alive_task:
            self._wait_until(waiting.when())

    def _wait_until(self, when: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_at(when, self.timeout_keep_alive_handler)


def web_server(app: ASGIApp, tls: ssl.SSLContext | None, *, idle_s: int = _IDLE_S) -> WebServer:
    """Return a server for an application, to be run on a socket by ``serve(sockets=[...])``.

    ``tls`` None: it speaks HTTP in the clear.
    """
    return WebServer(
        uvicorn.Config(
            app,
            http=_Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="error",  # what anybody may send in any number is no warning
            access_log=False,
            server_header=False,
            timeout_keep_alive=idle_s,
            timeout_graceful_shutdown=_DRAIN_S,
            ssl_context_factory=None if tls is None else lambda *_: tls,
        )
    )

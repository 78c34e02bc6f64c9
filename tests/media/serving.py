"""A server of pictures on this machine, and what it was asked."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from media.addresses import FetchRules

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOOPBACK = ("127.0.0.0/8",)


@dataclass
class Shop:
    """A server, and every request that it has seen."""

    port: int = 0
    host: str = "127.0.0.1"
    seen: list[web.Request] = field(default_factory=list)

    @property
    def at(self) -> str:
        return f"{self.host}:{self.port}"

    def rules(self, **rules: object) -> FetchRules:
        given = {
            "hosts": (self.at,),
            "schemes": ("http",),
            "networks": LOOPBACK,
            "most_bytes": 1000,
            "pause_s": 0.0,
        }
        return FetchRules(**{**given, **rules})


@asynccontextmanager
async def shop(handler: Handler, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Shop]:
    found = Shop(host=host)

    async def seen(request: web.Request) -> web.StreamResponse:
        found.seen.append(request)
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", seen)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    found.port = site._server.sockets[0].getsockname()[1]
    yield found
    await runner.cleanup()

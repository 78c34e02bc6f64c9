"""The three pages of a process.

``/healthz`` it lives, ``/readyz`` it does its work, ``/metrics`` for Prometheus.
"""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from schemas.hidden import redacted
from schemas.settings import Settings

log = structlog.get_logger(__name__)


@dataclass
class Health:
    """What a process says of itself. ``ready`` is set by the process; ``detail`` is shown on ``/readyz``.

    ``faults``: what it cannot work without, each with a function that says what is wrong with it now, or
    None. While one of them says something the process is not ready, and the page names it.
    """

    ready: bool = False
    detail: dict[str, object] = field(default_factory=dict)
    alive: Callable[[], bool] = lambda: True
    faults: dict[str, Callable[[], str | None]] = field(default_factory=dict)

    def readiness(self) -> tuple[bool, dict[str, object]]:
        """Return whether work can be sent here, and what the page shows."""
        found = {name: said for name, fault in self.faults.items() if (said := fault())}
        ready = self.ready and not found
        return ready, {"ready": ready, **self.detail, **({"faults": found} if found else {})}


@asynccontextmanager
async def serve_health(name: str, settings: Settings, health: Health) -> AsyncIterator[int]:
    """Serve the pages for the length of the block, and write the port to ``<data_dir>/run/<name>.json``.

    Yields the port.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response(
            {"process": name, "alive": health.alive()}, status=200 if health.alive() else 503
        )

    async def readyz(_: web.Request) -> web.Response:
        ready, shown = health.readiness()
        said = redacted(json.dumps({"process": name, **shown}))
        return web.json_response(text=said, status=200 if ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.http_host, settings.http_port)
        await site.start()
        port = int(runner.addresses[0][1])
        _announce(
            settings.data_dir / "run" / f"{name}.json",
            {"process": name, "port": port, "started_at": time.time()},
        )
        log.info("health pages up", process=name, port=port)
        yield port
    finally:
        await runner.cleanup()


def _announce(path: Path, facts: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(facts))
    partial.replace(path)

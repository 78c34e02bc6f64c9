"""``demo --shop``: a shop in the browser, on a stack of its own that learns from what is done there.

The page is served at an origin of its own, as a shop's is: it searches and tells events by two public keys.
"""

import asyncio
import getpass
import html
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from api.page_script import integrity
from broker.producing import Producer, open_producer
from broker.records import Outgoing
from broker.topics import ensure_topics
from commands.instruments.conservation import Accounts, settled
from commands.instruments.demo_report import Stage
from commands.instruments.demo_steps import ADVICE, QUIET_S, ready
from commands.support.pages import read_page
from commands.support.patience import Patience
from commands.support.session import out
from commands.support.topic_state import read_releases
from embedded.ports import HOST, free_port
from embedded.supervisor import PROCESSES, Supervisor
from schemas.keys import PUBLIC_BODY_BYTES, PUBLIC_RECORDS_PER_S, ApiKey, Role, digest, id_of, new_key
from schemas.settings import Settings
from schemas.topics import API_KEYS
from simulator.shop import Shop

PREFERRED_PORT = 8078
# One person at a counter shall see what a purchase does: refreshes come often, a newcomer is believed, and no
# answer that a busy machine gives late takes a refresh back.
ENV = {
    "SEARCHLOOP_MAX_LATENCY_RATIO": "1000",
    "SEARCHLOOP_REFRESH_EVERY": "PT5S",
    "SEARCHLOOP_NEWCOMER_DEVIATIONS": "0",
    "SEARCHLOOP_EMIT_SEARCHES": "true",
}


async def keep_shop(folder: Path, *, seed: int) -> None:
    """Run the stack and its shop until Ctrl-C or SIGTERM. Raises ``EmbeddedError`` and ``TimeoutError``."""
    stopping = asyncio.Event()
    async with open_shop(folder, seed=seed, say=out.print):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)
        await stopping.wait()


@asynccontextmanager
async def open_shop(folder: Path, *, seed: int, say: Callable[[str], object]) -> AsyncIterator[str]:
    """Run the stack and its shop for the length of the block. Yields the address of the shop's page."""
    shop = Shop(seed=seed, end=datetime.now(UTC), products=400, shoppers=600, weeks=2)
    async with Supervisor(
        data_dir=folder, env=ENV | {"SEARCHLOOP_SEED": str(seed)}, processes=PROCESSES, quiet=True
    ) as servers:
        settings = Settings.load(
            ENV
            | {
                "SEARCHLOOP_KAFKA": servers.kafka,
                "SEARCHLOOP_MILVUS": servers.milvus,
                "SEARCHLOOP_DATA_DIR": str(folder),
            }
        )
        await ensure_topics(settings)
        accounts = Accounts()
        async with open_producer(settings, linger_ms=20) as producer:
            with Stage("the catalogue goes in and is indexed"):
                await accounts.send(producer, settings, shop.products())
                await ready(settings, servers)
            with Stage("two weeks of simulated shoppers"):
                await accounts.send(producer, settings, shop.all_events())
                await settled(settings, accounts, quiet_s=QUIET_S)
            with Stage("what they did is learnt"):
                await _remembers(settings)
            port = free_port(preferred=PREFERRED_PORT)
            origin = f"http://{HOST}:{port}"
            keys = [await _key(producer, settings, role, origin) for role in (Role.EVENTS, Role.SEARCH)]
        api = str(read_page(settings, "api", "readyz")["address"])
        taught = shop.examples(1)
        page = page_of(api, *keys, query=taught[0].text if taught else "")
        async with _served(page, port):
            say(f"the shop is at {origin}, the API at {api}; Ctrl-C ends both")
            yield origin


def page_of(api: str, events_key: str, search_key: str, *, query: str) -> str:
    """Return the page of the shop, which asks ``api`` and begins with a query."""
    page = Path(__file__).with_name("shop_page.html").read_text(encoding="utf-8")
    for name, value in (
        ("API", api),
        ("EVENTS_KEY", events_key),
        ("SEARCH_KEY", search_key),
        ("INTEGRITY", integrity()),
        ("QUERY", html.escape(query, quote=True)),
    ):
        page = page.replace(f"__{name}__", value)
    return page


async def _key(producer: Producer, settings: Settings, role: Role, origin: str) -> str:
    """Make a key for the shop's page; every API knows it within a second."""
    key = new_key()
    made = ApiKey(
        key_id=id_of(key) or "",
        name="demo shop",
        roles=[role],
        sha256=digest(key),
        origins=[origin],
        records_per_s=PUBLIC_RECORDS_PER_S,
        body_bytes=PUBLIC_BODY_BYTES,
        actor=getpass.getuser(),
        reason="searchloop demo --shop",
        made_at=datetime.now(UTC),
    )
    await producer.send(Outgoing(settings.topic(API_KEYS.name), made.to_json(), key=made.key_id.encode()))
    return key


async def _remembers(settings: Settings) -> None:
    """Wait until a refresh of the first generation serves that knows what was bought for which query."""
    patience = Patience("the trainer", "the first refresh", quiet_s=QUIET_S, advice=ADVICE)
    while True:
        live, _ = await read_releases(settings)
        if live is not None and "memory" in live.live.ranking.coefficients:
            return
        patience.saw(await asyncio.to_thread(read_page, settings, "trainer", "readyz"))
        await asyncio.sleep(0.5)


@asynccontextmanager
async def _served(page: str, port: int) -> AsyncIterator[None]:
    async def shown(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-store"})

    app = web.Application()
    app.add_routes([web.get("/", shown)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield
    finally:
        await runner.cleanup()

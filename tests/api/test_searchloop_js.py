"""``searchloop.js`` in a real browser, on the pages of a shop at an origin of its own, with a real API."""

import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web

from api.page_script import integrity, script
from schemas.keys import Role, new_key
from tests.api.api_process import ApiProcess
from tests.api.test_keys_over_http import give
from tests.api.test_roles import APP, PAGES, FrontDoor
from tests.browser import open_browser

if TYPE_CHECKING:
    from playwright.async_api import Page

DOCS = Path(__file__).parents[2] / "docs" / "browser.md"
RESULTS = """<ol data-sl-query="q1">
<li data-sl-product="p1" data-sl-position="1"><a href="/product">Storm shell</a>
  <button data-sl-cart="p1">Add to cart</button></li>
<li data-sl-product="p2" data-sl-position="2"><a href="/product">Parka</a>
  <button data-sl-cart="p2">Add to cart</button></li></ol>"""
BODIES = {
    "/": RESULTS + "<script>searchloop.shown('q1', ['p1', 'p2'])</script>",
    "/product": "<button data-sl-cart='p2'>Add to cart</button><script>searchloop.view('p2')</script>",
    "/thanks": """<script>searchloop.purchase('o1', [
        {object_id: 'p2', quantity: 2, unit_price: 89.5, currency: 'EUR'}, {object_id: 'p9'}])</script>""",
    "/empty": "",
}


def test_the_script_is_as_small_as_promised_and_the_page_about_it_has_its_hash():
    assert len(script()) <= 3072
    assert f'integrity="{integrity()}"' in DOCS.read_text()


async def test_any_page_may_load_the_script_and_keep_it_and_no_other_path_for_that():
    transport = httpx.ASGITransport(FrontDoor(APP, (), PAGES, open_to_all=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        said = await client.get("/searchloop.js", headers={"origin": "https://any.example"})
        assert (said.status_code, said.content) == (200, script())
        assert said.headers.get_list("access-control-allow-origin") == ["*"]
        assert said.headers.get_list("cache-control") == ["public, max-age=3600"]
        other = await client.get("/openapi.json", headers={"origin": "https://any.example"})
        assert other.status_code == 401


@asynccontextmanager
async def shop(head: Callable[[], str]) -> AsyncIterator[str]:
    """Serve the pages of a shop; yields their origin."""

    async def page(request: web.Request) -> web.Response:
        document = (
            f"<!doctype html><title>Shop</title><link rel=icon href=data:,>{head()}{BODIES[request.path]}"
        )
        return web.Response(text=document, content_type="text/html")

    app = web.Application()
    app.add_routes([web.get(path, page) for path in BODIES])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def kept(page: "Page", kind: str) -> list[Any]:
    """Return what the script keeps of a kind in this browser."""
    found = await page.evaluate(
        "kind => Object.entries(localStorage).filter(e => e[0].startsWith(kind)).map(e => e[1])", kind
    )
    return [json.loads(one) for one in found]


async def sent(api: ApiProcess, wanted: int) -> list[dict[str, Any]]:
    """Return the events on the topic, each once, when there are so many."""

    async def enough() -> list[dict[str, Any]] | None:
        events = [json.loads(record.value or b"") for record in await api.records("interactions")]
        found = {event["event_id"]: event for event in events}
        return list(found.values()) if len(found) >= wanted else None

    return await api.until(enough, f"{wanted} events on the topic")


@pytest.mark.broker
async def test_what_a_shopper_does_arrives_with_the_query_it_began_with_also_when_the_api_was_away(
    settings_env: Callable[..., dict[str, str]],
):
    """One browser and one API for all: a start takes seconds."""
    key, faults, address = new_key(), list[str](), ""

    def head() -> str:
        hash_ = f'integrity="{integrity()}" crossorigin="anonymous"'
        return f'<script src="{address}/searchloop.js" data-key="{key}" {hash_}></script>'

    async with (
        ApiProcess(settings_env(partitions=2)) as api,
        shop(head) as origin,
        open_browser() as browser,
    ):
        await give(api, key, roles=[Role.EVENTS], origins=[origin])
        api.start()
        address = await api.address()
        page = await browser.new_page()
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))

        await page.goto(f"{origin}/")
        await page.click("text=Parka")
        await page.wait_for_url("**/product")
        await page.click("text=Add to cart")
        await page.goto(f"{origin}/thanks")
        events = await sent(api, 5)
        assert Counter(e["action_name"] for e in events) == Counter(
            ["impression", "click", "view", "add_to_cart", "purchase"]
        )
        assert len({e["client_id"] for e in events}) == 1
        by_action = {e["action_name"]: e for e in events}
        assert by_action["impression"]["items"] == [
            {"object_id": "p1", "query_id": "q1", "ordinal": 1},
            {"object_id": "p2", "query_id": "q1", "ordinal": 2},
        ]
        for action in ("click", "view", "add_to_cart"):
            assert by_action[action]["items"] == [{"object_id": "p2", "query_id": "q1", "ordinal": 2}]
        bought = by_action["purchase"]
        assert (bought["order_id"], bought["event_id"]) == ("o1", "order-o1")
        assert bought["items"] == [
            {"object_id": "p2", "query_id": "q1", "ordinal": 2, "quantity": 2, "unit_price": 89.5,
             "currency": "EUR"},
            {"object_id": "p9"},
        ]  # fmt: skip
        assert await kept(page, "sl.q.") == [], "what led to a purchase is not kept for the next"

        await page.reload()
        await api.until(lambda: nothing_waits(page), "everything is answered")
        assert len(await sent(api, 5)) == 5, "a page that thanks twice bought once"

        await page.goto(f"{origin}/empty")
        api.send_signal(signal.SIGSTOP)
        await page.evaluate("searchloop.click('p1', 'q2', 7)")
        await page.evaluate("searchloop.click('p5', 'q2', 8)")  # waits for the answer to the first
        await page.goto("about:blank")
        api.send_signal(signal.SIGCONT)
        at_the_end = [e["items"][0] for e in await sent(api, 7)]
        assert {"object_id": "p5", "query_id": "q2", "ordinal": 8} in at_the_end

        await page.goto(f"{origin}/empty")
        await api.until(lambda: nothing_waits(page), "everything is answered")
        assert faults == []
        api.kill()
        await page.evaluate("searchloop.cart({object_id: 'p3', quantity: 2})")
        await page.evaluate("for (let n = 0; n < 300; n++) searchloop.click('x' + n, 'q3', n + 1)")
        waiting = await kept(page, "sl.e.")
        assert 90 <= len(waiting) <= 100
        assert len(await kept(page, "sl.q.")) <= 100
        assert "x299" in {one["e"]["items"][0]["object_id"] for one in waiting}, "the oldest are let go"
        newest = {one["e"]["event_id"] for one in waiting}
        assert all("ERR_" in fault or "Failed to load" in fault for fault in faults), faults
        faults.clear()

        api.start(api_port=int(address.rpartition(":")[2]))
        await api.shows(lambda shown: shown.get("ready"))
        await page.goto(f"{origin}/empty")
        await api.until(lambda: nothing_waits(page), "everything is answered")
        assert newest <= {event["event_id"] for event in await sent(api, 7 + len(newest))}

        await page.evaluate("searchloop.client('shopper-7'); searchloop.view('p4')")
        assert "shopper-7" in {event["client_id"] for event in await sent(api, 8 + len(newest))}
        await page.evaluate("searchloop.forget()")
        assert await kept(page, "sl.") == []
        assert faults == []
        assert key not in api.log()


async def nothing_waits(page: "Page") -> bool:
    return not await kept(page, "sl.e.")

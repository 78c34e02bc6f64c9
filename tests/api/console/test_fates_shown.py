"""What became of an event, as the console tells it of a real stream: accepted, refused, credited or not."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import quote

import pytest

from broker.producing import open_producer
from operations.fate_words import in_a_sentence
from schemas.event_fate import EventFate
from schemas.settings import StreamSettings
from tests.accessibility import faults_of
from tests.api.api_process import ApiProcess
from tests.browser import open_browser
from tests.processes import run_verb
from tests.stream.shop import outgoing, products
from tests.stream.stream_process import StreamProcess, pairs_of

pytestmark = pytest.mark.broker
FATE = "/console/data/event"

TELLS = {
    "search": "to it belong: 1 x click, 1 x purchase",
    "clicked": "it counts 1 for",
    "repeated": "nothing: repeated: the same engagement had been counted before, as event clicked",
    "bought": "it counts 0.3 for",
    "lost": "it counts nothing: when it came, no search of this shopper was known",
    "robot": "It is good and must not count: bot.",
    "unknown": "It was refused: unknown action.",
    "nobody": "Nothing is known of it in what was read.",
}


def sent(now: datetime) -> list[tuple[str, str, dict[str, object]]]:
    """Return what two shoppers did; each event is called as what becomes of it."""

    def said(event_id: str, s: float, client: str = "ann", **more: object) -> dict[str, object]:
        at = (now - timedelta(hours=1) + timedelta(seconds=s)).isoformat()
        return {"event_id": event_id, "client_id": client, "timestamp": at, **more}

    def acted(event_id: str, action: str, s: float, **more: object) -> tuple[str, str, dict[str, object]]:
        return "interactions", "ann", said(event_id, s, action_name=action, **more)

    shown = {"query_id": "q1", "user_query": "Tea & <cup>", "query_response_hit_ids": ["p1", "p2"]}
    return [
        ("searches", "ann", said("search", 0, **shown)),
        acted("clicked", "click", 60, object_id="p1", query_id="q1"),
        acted("repeated", "click", 70, object_id="p1", query_id="q1"),
        acted("bought", "purchase", 600, object_id="p2", order_id="o1"),
        acted("lost", "click", 90, object_id="p3"),
        acted("robot", "click", 95, object_id="p1", is_bot=True),
        acted("unknown", "dance", 99, object_id="p1"),
    ]


async def test_what_became_of_an_event_is_told_in_words(settings_env: Callable[..., dict[str, str]]):
    env = settings_env(partitions=1)
    settings, now = StreamSettings.load(env), datetime.now(UTC)
    async with ApiProcess(env) as api:
        with StreamProcess(settings).start() as stream:
            searched, *acts = sent(now)
            async with open_producer(settings, linger_ms=0) as producer:
                await producer.send_all(outgoing([*products(4), searched], settings))

                async def known() -> (
                    bool
                ):  # else what comes late would be the cause of what it is credited with
                    return any(b'"search"' in (one.value or b"") for one in await api.records("events"))

                await stream.until(known)
                await producer.send_all(outgoing(acts, settings))
            api.start()

            async def counted() -> bool:
                return len(await pairs_of(settings)) == 2

            await stream.until(counted)

            pages: dict[str, str] = {}

            async def told(event_id: str) -> bool:
                said = await api.call("GET", f"{FATE}?id={event_id}")
                pages[event_id] = said.body.decode().replace("&#39;", "'")
                return said.code == 200 and TELLS[event_id] in pages[event_id]

            for event_id, words in TELLS.items():
                await stream.until(partial(told, event_id), words)
        assert "<cup>" not in pages["search"]
        assert "it names the search by its query id, 60 s after it" in pages["clicked"]
        assert "the latest search of the session that showed the product, 10 min after it" in pages["bought"]
        assert f'href="{FATE}?id=bought"' in pages["search"]
        letter = re.search(r'href="(/console/data/interactions/\d+)"', pages["unknown"])
        assert letter
        assert f'href="{FATE}?id=unknown"' in (await api.call("GET", letter[1])).body.decode()
        rows = (await api.call("GET", f"{FATE}?id=search&as=json")).json
        assert [(row["event_id"], row["credit"], row["method"], row["delay_s"]) for row in rows] == [
            ("clicked", 1.0, "named", 60.0), ("bought", 0.3, "session", 600.0),
        ]  # fmt: skip

        query = quote("tea & <cup>")
        behind = (await api.call("GET", f"/console/queries/pairs/events?q={query}&product=p2")).body.decode()
        place = re.search(rf'href="({FATE}\?record=[\d-]+)"', behind)
        assert place, behind
        assert "it counts 0.3 for" in (await api.call("GET", place[1])).body.decode()
        raw = await api.call("GET", f"{FATE}?record=interactions/0/0")
        assert "it counts 1 for" in raw.body.decode()
        later = (now + timedelta(days=1)).isoformat(timespec="minutes")
        beyond = (await api.call("GET", f"{FATE}?id=clicked&since={quote(later)}")).body.decode()
        assert TELLS["nobody"] in beyond
        earlier = (now - timedelta(days=1)).isoformat(timespec="minutes")
        assert (
            TELLS["clicked"]
            in (await api.call("GET", f"{FATE}?id=clicked&since={quote(earlier)}")).body.decode()
        )
        codes = [
            (await api.call("GET", f"{FATE}?{asked}")).code
            for asked in ("record=0-999-0", "record=9-0-0", "record=x", "id=a&since=noon", f"id={'a' * 999}")
        ]
        assert codes == [404, 404, 404, 422, 422]
        told = await asyncio.to_thread(run_verb, settings, "explain", "bought")
        assert "it counts 0.3 for" in in_a_sentence(EventFate.model_validate(told))
        async with open_browser() as browser:
            page = await browser.new_page()
            for address in (
                f"{FATE}?id=search",
                f"{FATE}?id=unknown",
                f"/console/queries/pairs/events?q={query}&product=p2",
            ):
                await page.goto(await api.address() + address)
                assert await faults_of(page) == []
            await page.goto(await api.address() + FATE)
            await page.fill("[name=id]", "bought")
            await page.keyboard.press("Enter")
            await page.wait_for_selector("[role=status] >> text=it counts 0.3")

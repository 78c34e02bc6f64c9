"""Queries and judging in the console of a real API: by plain forms, and in a real browser by keyboard."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import urlencode

import pytest

from schemas.batches import pack
from schemas.events import Action, CleanInteraction, CleanSearch, Line
from schemas.judged_queries import RatedQuery
from schemas.search import ScoredHit, SearchRequest, SearchResponse, Status, Timings
from tests.accessibility import faults_of
from tests.api.api_process import ApiProcess, Said, answering
from tests.browser import open_browser
from tests.releases import NOW

pytestmark = pytest.mark.broker
FORM = "application/x-www-form-urlencoded"
AT_MS = int(NOW.timestamp() * 1000)
SET = {"set": "house", "actor": "ann"}


@pytest.fixture
async def api(settings_env: Callable[..., dict[str, str]]) -> AsyncIterator[ApiProcess]:
    """One to whose shop people came: two searched for a mug, one for a cup, one for nothing it has."""

    def search(query: str, number: int, *shown: str) -> bytes:
        return CleanSearch(
            event_id=f"s{number}", shopper="ann", at_ms=AT_MS + number, query_id=f"q{number}", query=query,
            shown=list(shown),
        ).to_json()  # fmt: skip

    click = CleanInteraction(
        event_id="c", shopper="ann", at_ms=AT_MS, action=Action.CLICK, lines=[Line(product_id="p1")],
        query_id="q1",
    )  # fmt: skip
    async with ApiProcess(settings_env(partitions=2)) as opened:
        facts = [search("mug", 1, "p1"), search("mug", 2, "p1"), search("cup", 3, "p1"), search("zzz", 4)]
        await opened.send("events", (None, pack(facts)), (None, click.to_json()), (None, b"{"))
        opened.start()
        await opened.shows(lambda page: page.get("as_of"))
        await opened.publish()
        yield opened


async def answer(request: SearchRequest, _: object) -> SearchResponse:
    """Ten hits, whatever is asked."""
    hits = [
        ScoredHit(product_id=f"p{n}", rank=n, score=1 / n, fields={"title": f"{request.user_query} <{n}>"})
        for n in range(1, 11)
    ]
    return SearchResponse(
        request_id=request.request_id, status=Status.OK, hits=hits, generation=2, timings=Timings(total_ms=1)
    )


async def page(api: ApiProcess, path: str, code: int = 200) -> str:
    said = await api.call("GET", path)
    assert said.code == code, (path, said.body)
    return said.body.decode()


async def posted(api: ApiProcess, path: str, **fields: str) -> Said:
    return await api.call("POST", path, urlencode(fields).encode(), content_type=FORM)


async def test_queries_are_counted_and_their_answers_judged_by_plain_forms(api: ApiProcess):
    found = (await api.call("GET", "/v1/queries")).json
    assert [(q["query"], q["searches"], q["unanswered"], q["clicked"]) for q in found["queries"]] == [
        ("mug", 2, 0, 1), ("cup", 1, 0, 0), ("zzz", 1, 1, 0),
    ]  # fmt: skip
    assert found["searches"] == 4
    one = (await api.call("GET", "/v1/queries?kind=unclicked&limit=1")).json
    assert [q["query"] for q in one["queries"]] == ["cup"]
    assert (await api.call("GET", "/v1/queries?kind=odd")).code == 400
    assert "/console/search?q=zzz" in await page(api, "/console/queries?kind=unanswered")
    assert (await page(api, "/console/queries?kind=unanswered&as=csv")).splitlines()[1] == "zzz,1,1,0,0,1"
    await page(api, "/console/queries?kind=odd", 400)

    async with answering(api.settings, answer):
        assert "Judge the next: mug" in await page(api, "/console/judge?set=house&actor=ann")
        shown = await page(api, "/console/judge?set=house&q=mug&actor=ann")
        assert "mug &lt;1&gt;" in shown
        assert shown.count('type="radio"') == 50
        on = await posted(
            api, "/console/judge", **SET, q="mug", following="cup", p0="p1", r0="3", p1="p2", r1="0",
            p2="p3", r2="",
        )  # fmt: skip
        assert (on.code, "kept: mug" in on.body.decode(), "<h1>cup</h1>" in on.body.decode()) == (
            200, True, True,
        )  # fmt: skip
        again = await page(api, "/console/judge?set=house&q=mug")
        assert 'name="r0" value="3" checked' in again
        assert 'name="r2" value="" checked' in again
        assert (await posted(api, "/console/judge", set="house", q="mug", p0="p1", r0="3")).code == 422
        put = await posted(api, "/console/judge/import", **SET, text="query,product_id,relevance\ncup,p4,1")
        assert put.code == 200
        assert (await posted(api, "/console/judge/import", **SET, text="{")).code == 422
    records = [RatedQuery.from_json(r.value or b"") for r in await api.records("judgments")]
    assert [(r.name, r.query, r.ratings, r.actor) for r in records] == [
        ("house", "mug", {"p1": 3, "p2": 0}, "ann"), ("house", "cup", {"p4": 1}, "ann"),
    ]  # fmt: skip
    assert await page(api, "/console/judge/house.csv") == (
        "query,product_id,relevance\ncup,p4,1.0\nmug,p1,3.0\nmug,p2,0.0\n"
    )
    assert (await page(api, "/console/judge/house.jsonl")).count("\n") == 3
    await page(api, "/console/judge/none.csv", 404)
    await page(api, "/console/judge?set=../x", 422)


async def test_in_a_browser_twenty_answers_are_judged_by_keyboard(api: ApiProcess):
    address, faults = await api.address(), list[str]()
    async with answering(api.settings, answer), open_browser() as browser:
        opened = await browser.new_page()
        opened.on("console", lambda m: faults.append(m.text) if m.type in {"error", "warning"} else None)
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.on("request", lambda r: None if r.url.startswith(address) else faults.append(r.url))
        for path in ("queries", "judge", "judge?set=house", "judge?set=house&q=mug"):
            await opened.goto(f"{address}/console/{path}")
            assert await faults_of(opened) == []

        await opened.goto(f"{address}/console/judge?set=house&q=mug&actor=ann")
        keyboard = opened.keyboard
        await opened.wait_for_selector("text=0 of 10 rated")
        for key in ("3", "2", "u", "1", "ArrowUp", "0"):
            await keyboard.press(key)
        for _ in range(8):
            await keyboard.press("2")
        await opened.wait_for_selector("text=10 of 10 rated")
        await keyboard.press("Enter")
        await opened.wait_for_selector("h1 >> text=cup")
        await opened.wait_for_selector("text=0 of 10 rated")  # the page listens to keys
        for key in "0123012301":
            await keyboard.press(key)
        await opened.wait_for_selector("text=10 of 10 rated")
        await keyboard.press("Enter")
        await opened.wait_for_selector("text=2 of 2 queries judged")
    assert faults == []
    mug, cup = [RatedQuery.from_json(r.value or b"") for r in await api.records("judgments")]
    assert mug.ratings == {"p1": 3, "p2": 0} | {f"p{n}": 2 for n in range(3, 11)}
    assert cup.ratings == {f"p{n}": int("0123012301"[n - 1]) for n in range(1, 11)}
    assert (mug.name, mug.query, mug.actor) == ("house", "mug", "ann")

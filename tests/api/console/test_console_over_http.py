"""The console of a real API on a real broker: its pages as they come, and in a real browser."""

import csv
import json
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import aiohttp
import pytest

from broker.pointer_chain import digest
from broker.producing import open_producer
from broker.records import Outgoing
from schemas.releases import (
    DeploymentCommand,
    LivePointer,
    ReleaseState,
    SearcherReport,
    rejection_id,
    release_key,
)
from schemas.search import ScoredHit, SearchError, SearchRequest, SearchResponse, Status, Timings
from schemas.training import Check, Decision, RunState, Score, TrainingRun, Trigger
from tests.accessibility import faults_of
from tests.api.api_process import ApiProcess, Said, answering
from tests.browser import open_browser
from tests.releases import NOW, a_release

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.broker
RUN, ENDED = "20260101-120000-1a2b3c4d", "20251231-120000-1a2b3c4d"
PAGES = (
    "/console", "/console/search", "/console/runs", f"/console/runs/{RUN}", f"/console/runs/{ENDED}",
    "/console/releases", "/console/act/rollback", "/console/act/promote?target=1", "/console/act/train",
    f"/console/act/cancel?target={RUN}", "/console/act/abort", "/console/data", "/console/queries",
    "/console/queries/pairs", "/console/data/event", "/console/queries/pairs/events",
    "/console/data/catalogue",
    "/console/producers", "/console/judge", "/console/judge?set=house",
)  # fmt: skip
SEEN = """Object.defineProperty(document, 'hidden', { configurable: true, value: HIDDEN });
document.dispatchEvent(new Event('visibilitychange'))"""
TABLED = "/console", "/console/runs", f"/console/runs/{ENDED}", "/console/releases", "/console/producers"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def api(settings_env: Callable[..., dict[str, str]]) -> AsyncIterator[ApiProcess]:
    """One that has something to show: runs, one of them failed, two generations, and a producer's fault."""
    async with ApiProcess(settings_env(partitions=1)) as opened:
        score = Score(mean=0.5, ci_low=0.4, ci_high=0.6, n=9)
        failing = Check(name="gain over live", verdict="fail", reason="it ranks worse", delta=-0.03,
                        ci_low=-0.05, ci_high=-0.01)  # fmt: skip
        decision = Decision(
            decision_id=ENDED, run_id=ENDED, verdict="fail", reasons=["it ranks worse"], at=NOW,
            checks=[Check(name="artefact loads", verdict="pass", reason="it does"), failing],
            ndcg10={"candidate": {"all": score}, "live": {"all": score}},
        )  # fmt: skip
        changed = Decision(decision_id="main-2", verdict="pass", reasons=["promoted"], generation_before=1,
                           generation_after=2, at=NOW)  # fmt: skip
        releases = a_release(1, ReleaseState.RETIRED), a_release(2)
        pointer = LivePointer(sequence=2, live=releases[1], previous=releases[0], cause="promote", at=NOW)
        report = SearcherReport(searcher_id="s1", generation=2, sequence=2, ready=True, at=datetime.now(UTC))
        ended = TrainingRun(run_id=ENDED, state=RunState.FAILED_GATE)
        runs = training(0.25), ended
        await opened.send("training-runs", *((one.run_id.encode(), one.to_json()) for one in runs))
        await opened.send("decisions", (b"d", decision.to_json()), (b"d", changed.to_json()))
        await opened.send("searcher-reports", (b"s1", report.to_json()))
        await opened.send(
            "releases",
            *((release_key(one.generation), one.to_json()) for one in releases),
            (b"main", pointer.to_json()),
        )
        sent = {"timestamp": datetime.now(UTC).timestamp(), "client_id": "c", "application": "shop"}
        stale = sent | {"action_name": "click", "object_id": "p1", "query_id": "gone"}
        search = sent | {"query_id": "q1", "user_query": "mug"}
        await opened.send("searches", (b"c", json.dumps(search).encode()))
        await opened.send("interactions", (b"c", json.dumps(stale).encode()))
        opened.start()
        await opened.shows(lambda shown: shown.get("as_of"))
        yield opened


def training(progress: float) -> TrainingRun:
    return TrainingRun(run_id=RUN, state=RunState.TRAINING, progress=progress, detail=f"step {progress:g}")


async def posted(api: ApiProcess, path: str, headers: dict[str, str] | None = None, **fields: str) -> Said:
    """Post a form; a redirect is followed."""
    return await api.call("POST", path, urlencode(fields).encode(), content_type=FORM, **(headers or {}))


async def commands(api: ApiProcess) -> list[DeploymentCommand]:
    return [DeploymentCommand.from_json(r.value or b"") for r in await api.records("deployment-commands")]


async def test_every_page_is_whole_without_a_script_and_names_nothing_outside(api: ApiProcess):
    for path in PAGES:
        said = await api.call("GET", path)
        text = said.body.decode()
        assert (said.code, said.headers["content-type"]) == (200, "text/html; charset=utf-8"), path
        assert "default-src 'none'" in said.headers["content-security-policy"]
        assert set(re.findall(r'(?:src|href|action)="(\w+:[^"]*|//[^"]*)"', text)) <= {"data:,"}, path
        assert not re.search(r"<style|style=|<script(?! src=)|\son\w+=", text), path
        assert text.count("<h1>") == 1
        assert ("This table as a file" in text) == (path in TABLED), path
        for address in set(re.findall(r'href="(/console[^"#]*)"', text)):
            assert (await api.call("GET", address.replace("&amp;", "&"))).code == 200, (path, address)
    runs = (await api.call("GET", "/console/runs?as=json")).json
    assert [run["run_id"] for run in runs] == sorted((RUN, ENDED), reverse=True)
    checks = await api.call("GET", f"/console/runs/{ENDED}?as=csv")
    assert checks.headers["content-disposition"] == 'attachment; filename="checks.csv"'
    assert [row["name"] for row in csv.DictReader(checks.body.decode().splitlines())] == [
        "gain over live", "artefact loads",
    ]  # fmt: skip
    failed = (await api.call("GET", f"/console/runs/{ENDED}")).body.decode()
    assert failed.index("gain over live") < failed.index("artefact loads")
    assert (await api.call("GET", "/console/runs/none")).code == 404
    assert (await api.call("GET", "/console/act/none")).code == 404
    assert (await api.call("GET", "/console/static/none")).code == 404
    served = (await api.call("GET", "/console/static/console.js")).headers
    assert served["content-type"].startswith("text/javascript")


async def test_an_action_is_asked_once_with_who_and_why_and_its_end_is_shown(api: ApiProcess):
    fields = {"actor": "ann", "command_id": "c1", "expected_generation": "2", "target": ""}
    assert (await posted(api, "/console/act/rollback", **fields)).code == 422
    wrong = {"origin": "https://evil.example"}
    assert (await posted(api, "/console/act/rollback", wrong, **fields, reason="x")).code == 403
    assert (await api.call("POST", "/console/act/rollback", {"actor": "ann", "reason": "x"})).code == 415
    assert (await posted(api, "/console/act/abort", actor="ann", reason="x")).code == 409
    assert (await posted(api, "/console/act/none", actor="ann", reason="x")).code == 404
    assert await commands(api) == []

    refused = Decision(
        decision_id=rejection_id("main", "c1"),
        verdict="fail",
        reasons=["rollback rejected", "it <is> pinned"],
    )
    await api.send("decisions", (b"d", refused.to_json()))
    shown = await posted(api, "/console/act/rollback", **fields, reason="odd answers")
    assert shown.code == 200
    assert "it &lt;is&gt; pinned" in shown.body.decode()
    await posted(api, "/console/act/rollback", **fields, reason="odd answers")
    (command,) = await commands(api)
    assert (command.action, command.actor, command.reason, command.expected_generation, command.force) == (
        "rollback", "ann", "odd answers", 2, False,
    )  # fmt: skip
    kept = (await api.call("GET", "/console/releases")).body.decode()
    assert re.search(r"rollback</td>.*>ann</td>.*>odd answers</td>.*refused", kept), (
        "who, why, what came of it"
    )

    asked = await posted(
        api, "/console/act/train", actor="ann", command_id="t1", dry_run="yes", base="pristine"
    )
    assert "on its way to the trainer" in asked.body.decode()
    await posted(api, "/console/act/cancel", actor="ann", command_id="t2", target=RUN)
    triggers = [Trigger.from_json(r.value or b"") for r in await api.records("training-triggers")]
    assert [(t.trigger_id, t.requested_by, t.dry_run, t.base, t.cancels) for t in triggers] == [
        ("t1", "ann", True, "pristine", None), ("t2", "ann", False, "live", RUN),
    ]  # fmt: skip


async def answer(request: SearchRequest, _: object) -> SearchResponse:
    """Two hits, in another order by words alone; nothing is open besides, or sees pictures."""
    fault = {"previous": "no previous generation is open"}.get(request.ranking)
    fault = "it reads texts only" if request.image else fault
    order = ["p2", "p1"] if request.ranking == "words" else ["p1", "p2"]
    hits = [
        ScoredHit(product_id=product_id, rank=n, score=0.75, fields={"title": f"<{request.user_query}>"},
                  parts={"dense": 0.5, "words": 0.25} if request.explain else None)
        for n, product_id in enumerate(order, start=1)
    ]  # fmt: skip
    return SearchResponse(
        request_id=request.request_id,
        status=Status.REJECTED if fault else Status.OK,
        hits=[] if fault else hits,
        generation=None if fault else 2,
        timings=Timings(total_ms=3.0),
        error=SearchError(code="c", message=fault) if fault else None,
    )


async def test_a_search_shows_what_each_hit_is_made_of_and_how_to_ask_it_elsewhere(api: ApiProcess):
    async with answering(api.settings, answer) as asked:
        where = urlencode({"q": "rain jacket", "where": "brand == Acme\nprice < 10", "sort": "price_asc"})
        text = (await api.call("GET", f"/console/search?{where}")).body.decode()
        assert "&lt;rain jacket&gt;" in text
        assert "dense 0.500, words 0.250" in text
        assert "curl -d" in text
        for told in ("BM25 alone", "▲ 1", "▼ 1", "same rank", "no previous generation is open"):
            assert told in text
        requests = [SearchRequest.from_json(one.value or b"") for one in asked]
        assert {r.ranking for r in requests} == {"live", "previous", "dense", "words", "base"}
        for request in requests:
            assert ([f.field for f in request.filters], request.sort) == (["brand", "price"], "price_asc")
            assert (request.client_id, request.query_id) == (None, None), "nothing is learnt from it"
        for wrong in ("q=x&where=brand+Acme", "q=x&sort=colour", f"q={'x' * 2000}"):
            assert 'role="alert"' in (await api.call("GET", f"/console/search?{wrong}")).body.decode()
        assert len(asked) == len(requests)
        rows = (await api.call("GET", f"/console/search?{where}&as=json")).json
        assert [(row["rank"], row["product_id"]) for row in rows if row["ranking"] == "words"] == [
            (1, "p2"), (2, "p1"),
        ]  # fmt: skip
        asked.clear()
        alone = (await api.call("GET", "/console/search?q=x&alone=yes")).body.decode()
        assert ("BM25 alone" in alone, len(asked)) == (False, 1)

        form = (
            b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n\x00\r\n--b--\r\n'
        )
        kind = "multipart/form-data; boundary=b"
        pictured = await api.call("POST", "/console/search", form, content_type=kind)
        assert "it reads texts only" in pictured.body.decode()
        assert SearchRequest.from_json(asked[-1].value or b"").image == b"\x00"
        assert (await api.call("POST", "/console/search", b"", content_type=FORM)).code == 415


async def test_in_a_browser_progress_is_seen_live_and_a_rollback_is_asked_by_keyboard(api: ApiProcess):
    address, faults = await api.address(), list[str]()
    async with open_browser() as browser:
        page = await browser.new_page()
        page.on("console", lambda m: faults.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(address) else faults.append(r.url))
        for path in PAGES:
            await page.goto(address + path)
            assert await faults_of(page) == []

        await page.goto(f"{address}/console/runs/{RUN}")
        await page.wait_for_selector("text=step 0.25")
        await api.send("training-runs", (RUN.encode(), training(0.75).to_json()))
        await page.wait_for_selector("text=step 0.75")
        ended = TrainingRun(run_id=RUN, state=RunState.FAILED, detail="killed")
        await api.send("training-runs", (RUN.encode(), ended.to_json()))
        await page.wait_for_selector("text=killed")

        await api.until(partial(listeners, api, 1), "the page listens")
        await page.evaluate(SEEN.replace("HIDDEN", "true"))
        await api.until(partial(listeners, api, 0), "a page that nobody sees listens no more")
        await page.evaluate(SEEN.replace("HIDDEN", "false"))
        await api.until(partial(listeners, api, 1), "it listens again")

        await page.goto(f"{address}/console/releases")
        await by_keyboard(page, "a", "Roll back")
        await page.wait_for_selector("text=Generation 1 serves again in place of generation 2")
        await by_keyboard(page, "input", "actor")
        await page.keyboard.type("ann")
        await page.keyboard.press("Tab")
        await page.keyboard.type("odd answers")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/console/releases?command=*")
        await page.wait_for_selector("[role=status]")
        (command,) = await commands(api)
        (_, _, first) = await api.records("releases")
        back = LivePointer(
            sequence=3, live=a_release(1), previous=a_release(2), cause="rollback", actor="ann",
            command_id=command.command_id, follows=[digest(first.value or b"")],
        )  # fmt: skip
        assert (command.action, command.reason) == ("rollback", "odd answers")
        await api.send("releases", (b"main", back.to_json()))
        await page.wait_for_selector("[role=status] >> text=done")
    assert faults == []


async def listeners(api: ApiProcess, count: int) -> bool:
    return f"searchloop_api_in_flight {count}.0\n" in await api.page("metrics")


async def by_keyboard(page: "Page", tag: str, name: str) -> None:
    """Go to an element by the Tab key alone; a link is followed."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        here = await page.evaluate(
            "(() => { const e = document.activeElement; "
            "return [e.tagName.toLowerCase(), e.name || e.textContent.trim()] })()"
        )
        if here == [tag, name]:
            if tag == "a":
                await page.keyboard.press("Enter")
            return
    pytest.fail(f"no {tag} {name!r} is reached by Tab")


async def test_the_api_stops_at_once_though_somebody_listens(api: ApiProcess):
    async with aiohttp.ClientSession() as session, session.get(f"{await api.address()}/console/live") as live:
        assert live.headers["content-type"].startswith("text/event-stream")
        assert await live.content.readline() == b"event: changed\n"
        assert api.stop() == 0
        rest = await live.read()
    assert rest.count(b"event: changed") < 20, "it is not held for the five minutes of a listener"


async def test_the_overview_measures_what_comes_and_how_far_the_stream_is_behind(api: ApiProcess):
    """Nobody takes the records in, so all that come are behind."""
    assert "Nothing needs a person" in (await api.call("GET", "/console")).body.decode()

    async def shown() -> bool:
        await api.send("interactions", *[(b"k", b"{}")] * 3)
        text = (await api.call("GET", "/console")).body.decode()
        rate = re.search(r'class="figure">([\d.,]+) <small>interactions/s', text)
        behind = re.search(r'class="figure">([\d,]+) <small>records behind', text)
        return bool(rate and behind and float(rate[1]) > 0 and int(behind[1]) >= 3)

    await api.until(shown, "a rate above 0, and records behind")


async def test_the_overview_tells_by_which_rule_credit_is_earned_and_for_what_records_are_refused(
    api: ApiProcess,
):
    """One record holds as many credits as it has lines; what cannot be read is none."""
    credit = {"query": "mug", "product_id": "p1", "action": "click", "day": 1, "client": "a", "source": 0}
    lines = [
        json.dumps(credit | {"contribution_id": str(n), "credit": n, "position": [n % 7, 0, 0]})
        for n in (1000, 1000, 300, -300)
    ]
    batch = "\n".join([*lines, "{", '{"credit": 1' + "0" * 400 + "}"]).encode()
    letter = Outgoing(api.settings.topic("interactions.dlq"), b"{}", headers=(("dlq.reason", b"too_old"),))

    async def shown() -> bool:
        await api.send("contributions", (None, batch))
        async with open_producer(api.settings, linger_ms=0) as producer:
            await producer.send(letter)
        text = (await api.call("GET", "/console")).body.decode()
        told = re.findall(r"<dt>([\d.]+)</dt><dd>(?:<a [^>]*>)?([^<]+)", text)
        rates = {name: float(rate) for rate, name in told}
        named = next((rate for name, rate in rates.items() if "names the search" in name), 0.0)
        return rates.get("too old", 0.0) > 0 and named > rates.get("taken back", named) > 0

    await api.until(shown, "rates by rule and by reason")

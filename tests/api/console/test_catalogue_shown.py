"""How complete the catalogue is, judged from the console in a process of its own."""

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from urllib.parse import urlencode

import pytest

from api.catalogue_judging import CatalogueJudging
from artefacts.store import ArtefactStore
from media.images import prepare
from media.preparation import picture_key
from schemas.products import CatalogProduct, ProductImage
from tests.accessibility import faults_of
from tests.api.api_process import ApiProcess
from tests.browser import open_browser
from tests.media.hostile_pictures import encoded, photo
from tests.processes import run_verb
from tests.waiting import until

CATALOGUE = "/console/data/catalogue"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.broker
async def test_the_catalogue_is_judged_and_shown_as_the_verb_tells_it(
    settings_env: Callable[..., dict[str, str]],
):
    async with ApiProcess(settings_env(partitions=2)) as api:
        prepared = prepare(encoded(photo(), "PNG"))
        assert isinstance(prepared, bytes)
        key = picture_key(sha256(prepared).hexdigest())
        ArtefactStore(api.settings.artefact_address).put(key, prepared)
        image = ProductImage(uri="https://cdn.example/p0.jpg")
        products = [
            CatalogProduct(
                product_id=f"p{n}", title="Same <b>lamp</b>", version=1, image=image, image_key=key
            )
            for n in range(3)
        ]
        await api.send(
            "catalog", *[(one.product_id.encode(), one.to_json()) for one in products], (b"bad", b"{")
        )
        api.start()
        await api.shows(lambda shown: shown.get("as_of"))
        before = (await api.call("GET", CATALOGUE)).body.decode()
        assert "Judge the catalogue" in before
        assert "Fields, the worst first" not in before
        wrong = await api.call("POST", CATALOGUE, b"", content_type=FORM, origin="https://evil.example")
        assert wrong.code == 403

        async with open_browser() as browser:
            page = await browser.new_page()
            await page.goto(await api.address() + CATALOGUE)
            await page.click("button:has-text('Judge the catalogue')")
            await page.click("a:text-is('show it')")
            await page.wait_for_selector("text=3 products of")
            await page.click("summary >> nth=0")
            assert await faults_of(page) == []
            shown = [image.split(",")[0] for image in await page.eval_on_selector_all(
                "main img", "all => all.map(one => one.src)"
            )]  # fmt: skip
            assert set(shown) == {"data:image/webp;base64"} or set(shown) == {"data:image/jpeg;base64"}
        text = (await api.call("GET", CATALOGUE)).body.decode()
        assert "<b>lamp" not in text
        told = await asyncio.to_thread(run_verb, api.settings, "doctor", "catalog")
        rows = (await api.call("GET", f"{CATALOGUE}?as=json")).json
        assert rows == [{k: v for k, v in one.items() if k != "examples"} for one in told["findings"]]
        again = await api.call("POST", CATALOGUE, urlencode({}).encode(), content_type=FORM)
        assert (again.code, "3</strong> products of" in again.body.decode()) == (200, True), (
            "it is kept meanwhile"
        )


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        ("import sys; sys.exit(3)", "ended with status 3"),
        ("print('{')", "said nothing that can be read"),
        (f"print({json.dumps(json.dumps({'fault': 'the topic is away'}))})", "the topic is away"),
        ("print('{\"report\": {}}')", "said nothing that can be read"),
        ("print(5)", "said nothing that can be read"),
        ("print('{}')", "said nothing that can be read"),
    ],
)
async def test_a_child_that_ends_without_a_report_is_told_and_another_may_be_asked_for(
    program: str, fault: str
):
    judging = CatalogueJudging(("-c", program))
    running = asyncio.create_task(judging.run())
    try:
        for _ in range(2):
            judging.begin()
            assert judging.judging
            await until(lambda: asyncio.sleep(0, not judging.judging), "the end of the child")
            assert fault in judging.fault
            assert judging.report is None
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.mark.skipif(sys.platform != "linux", reason="others have no such file")
async def test_where_memory_is_short_the_child_is_ended_and_not_the_api():
    program = """
import json, os
from completeness.__main__ import give_way
give_way()
print(json.dumps({"fault": open("/proc/self/oom_score_adj").read() + str(os.nice(0))}))
"""
    judging = CatalogueJudging(("-c", program))
    running = asyncio.create_task(judging.run())
    judging.begin()
    await until(lambda: asyncio.sleep(0, not judging.judging), "the end of the child")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert judging.fault.split()[0] == "1000"
    assert int(judging.fault.split()[1]) >= 10


async def test_a_child_ends_with_whoever_has_started_it():
    program = "import completeness.__main__ as own, time; own.judged = lambda *_: time.sleep(600); own.main()"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.close()
    async with asyncio.timeout(60):
        assert await child.wait() == 1


async def test_a_child_that_wants_too_much_memory_is_told():
    program = """
import completeness.__main__ as own
def judged(*_):
    bytearray(2 * own.MOST_BYTES)
own.judged = judged
own.main()
"""
    judging = CatalogueJudging(("-c", program))
    running = asyncio.create_task(judging.run())
    judging.begin()
    await until(lambda: asyncio.sleep(0, not judging.judging), "the end of the child")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert "searchloop doctor catalog" in judging.fault

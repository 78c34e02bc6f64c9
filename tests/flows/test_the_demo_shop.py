"""The shop of ``demo --shop``: somebody searches, buys, and is answered otherwise."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from commands.instruments.demo_shop import open_shop, page_of
from tests.accessibility import faults_of
from tests.browser import open_browser
from tests.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import Page

QUERY = "present for grandma"


def test_the_page_names_no_address_but_that_of_its_api():
    page = page_of("http://127.0.0.1:1", "sl_e", "sl_s", query='"><script>')
    assert set(re.findall(r"https?://[^/'\"]+", page)) == {"http://127.0.0.1:1"}
    assert "__" not in page
    assert 'value="&quot;&gt;&lt;script&gt;"' in page


async def answer(page: "Page") -> list[str]:
    """Search again, and return the products in their order."""
    async with page.expect_response("**/v1/search") as said:
        await page.click("form button")
    await (await said.value).finished()
    return await page.eval_on_selector_all("#answer li", "rows => rows.map(row => row.dataset.slProduct)")


@pytest.mark.broker
@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_purchase_in_the_browser_changes_the_answer_to_the_search_before_it(tmp_path: Path):
    faults: list[str] = []
    async with (
        open_browser() as browser,
        open_shop(tmp_path, seed=7, say=print) as address,
    ):
        page = await browser.new_page()
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        await page.goto(address)
        await page.fill("#q", QUERY)

        async def answered() -> list[str]:
            return await answer(page)

        before = await until(answered, "an answer")
        assert await faults_of(page) == []
        bought = before[7]
        row = page.locator(f"li[data-sl-product='{bought}']")
        await row.locator("a").click()
        await row.locator("button").click()
        await page.click("#buy")

        async def is_better() -> bool:
            return bought in (now := await answer(page)) and now.index(bought) < 7

        def steps() -> int:
            return len(list((tmp_path / "refreshes").rglob("*")))

        await until(is_better, "the product that was bought is further up", pause_s=1, moving=steps)
        assert faults == []

"""Somebody at the console of a running stack, in a real browser."""

import re
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from commands.support.pages import read_page
from schemas.settings import Settings
from tests.doc_pictures import keep_picture_of
from tests.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

JUDGED = "house"
SIZES = """Promise.all([...document.querySelectorAll('main img')].map(image => {
  image.loading = 'eager';
  return image.decode().then(() => [image.naturalWidth, image.offsetWidth, image.offsetHeight]);
}))"""
# As long as a training may take on a busy machine.
_MS = 600_000


class ConsoleVisit:
    """One page; ``faults`` is what the browser complained of."""

    def __init__(self, page: "Page", address: str) -> None:
        self._page = page
        self._address = address
        self.faults: list[str] = []
        page.set_default_timeout(_MS)
        page.on("console", lambda m: self.faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    @classmethod
    async def begin(cls, browser: "BrowserContext", settings: Settings) -> Self:
        """Open a page of the stack's own API."""
        return cls(await browser.new_page(), str(read_page(settings, "api", "readyz")["address"]))

    async def _goes_to(self, path: str) -> None:
        await self._page.goto(self._address + path)

    async def sees_the_run(self, trigger: str) -> None:
        """Follow a trigger to its run, and that to its verdict and its generation, without loading again."""
        page = self._page
        await self._goes_to(f"/console/runs?trigger={trigger}")
        await page.click("[role=status] a[href^='/console/runs/']")
        await page.wait_for_selector("h1:has-text('Run ')")
        await page.evaluate("window.stayed = true")
        await page.wait_for_selector("h2:has-text('Verdict')")
        await page.wait_for_selector("h2:has-text('nDCG@10 by segment')")
        await page.wait_for_selector("a:has-text('generation 2')")
        await page.wait_for_selector(f"td:has-text('judgments_{JUDGED}')")
        assert await page.evaluate("window.stayed"), "it was seen live"
        await keep_picture_of(page, "console-run")

    async def compares(self, query: str, found: str) -> None:
        """Search side by side: what serves finds a product that the generation before it had not in front."""
        page = self._page

        async def beside() -> bool:  # what a rollback needs is loaded after what serves
            await self._goes_to("/console/search")
            await page.fill("input[type=search]", query)
            await page.click("button.first")
            told = await page.inner_text("section[aria-label='Served before']")
            return "generation 1" in told

        await until(beside, "an answer of the generation before")
        assert found in await page.inner_text("main table >> nth=0")
        pretrained = await page.inner_text("section[aria-label='Pretrained model alone']")
        assert "generation 1" in pretrained
        before = await page.inner_text("section[aria-label='Served before']")
        assert re.search("▲|▼|not among the first", before), "something has moved"
        await keep_picture_of(page, "console-search")

    async def judges(self, query: str) -> None:
        """Rate the answers to the most frequent query, and to the one after it, by keyboard alone."""
        page = self._page
        await self._goes_to("/console/judge")
        await page.focus("[name=set]")
        for word in (JUDGED, "ann"):
            await page.keyboard.type(word)
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.click("a.first")
        await page.wait_for_selector(f"h1:text-is('{query}')")
        await until(self._are_pictured, "ten answers with their pictures, in boxes of one size")
        for place in range(2):
            await page.wait_for_selector("[data-rated]:text-is('0 of 10 rated')")
            for key in "3210321032":
                await page.keyboard.press(key)
            await page.wait_for_selector("[data-rated]:text-is('10 of 10 rated')")
            if place:
                await keep_picture_of(page, "console-judge")
            await page.keyboard.press("Enter")
        await page.wait_for_selector("text=/2 of \\d+ queries judged/")

    async def _are_pictured(self) -> bool:
        await self._page.reload()
        return bool(await self._page.evaluate(SIZES) == [[100, 64, 64]] * 10)

    async def trains_and_cancels(self) -> None:
        """Ask for a run that deploys nothing, and end it again."""
        page = self._page
        await self._goes_to("/console/runs")
        await page.click("a:text-is('Train')")
        await page.wait_for_selector("text=A run begins, or waits for the one that runs")
        await page.fill("[name=actor]", "ann")
        await page.check("[name=dry_run]")
        await page.click("button.first")
        await page.click("[role=status] a[href^='/console/runs/']")
        await page.wait_for_url("**/console/runs/*")
        run = page.url
        await page.wait_for_selector("dd:text-is('ann')")
        await page.click("a:text-is('Cancel')")
        await page.wait_for_selector("text=what it has learned is not used")
        await page.fill("[name=actor]", "bob")
        await page.click("button.first")
        await page.wait_for_selector("[role=status] >> text=asks for the end of run")
        await page.goto(run)
        await page.wait_for_selector("text=cancelled by bob")

    async def sends_letters_again(self) -> None:
        """Send all letters of a topic with a reason again."""
        page = self._page
        await self._goes_to("/console/data")
        await keep_picture_of(page, "console-data")
        await page.click("#counts a[href*='reason='] >> nth=0")
        await page.click("button:has-text('Send these again')")
        told = await page.inner_text("[role=status]")
        again = re.search(r"(\d+) of (\d+) sent again", told)
        assert again, told
        assert int(again[1]) > 0

    async def follows_credit_to_its_event(self, query: str, product_id: str) -> None:
        """From what was learnt for a query to an event behind it, and what became of that."""
        page = self._page
        await self._goes_to(f"/console/queries/pairs?q={quote(query)}")
        await page.click(f"a[aria-label='Events behind {product_id}']")
        await page.click("table a[href*='record='] >> nth=0")
        await page.wait_for_selector("[role=status] >> text=accepted")
        await page.wait_for_selector(f"a:text-is('{query}')")

    async def judges_the_catalogue(self) -> None:
        """Have it judged, and read the report."""
        page = self._page
        await self._goes_to("/console/data/catalogue")
        await page.click("button:has-text('Judge the catalogue')")
        await page.click("a:text-is('show it')")
        await page.wait_for_selector("h2:has-text('Fields, the worst first')")

    async def changes_what_serves(self, action: str, will_happen: str, *, force: bool = False) -> None:
        """Press a button of *Releases*, read what will happen, say who and why, and see it done."""
        page, reason = self._page, f"a test of {action}"
        await self._goes_to("/console/releases")
        await page.click(f"main a:text-is('{action}')")
        await page.wait_for_selector(f".consequence:has-text('{will_happen}')")
        await page.fill("[name=actor]", "ann")
        await page.fill("[name=reason]", reason)
        if force:
            await page.check("[name=force]")
        await page.click("button.first")
        await page.wait_for_selector("[role=status] >> text=done")
        await page.wait_for_selector(f"tr:has-text('ann'):has-text('{reason}'):has-text('done')")
        await keep_picture_of(page, "console-releases")

    async def looks_around(self) -> None:
        """See at a glance that the loop turns."""
        await self._goes_to("/console")
        await self._page.wait_for_selector("text=of 1 searchers ready")
        await self._page.wait_for_selector(".figure:has-text('interactions/s'):not(:has-text('…'))")
        await keep_picture_of(self._page, "console-overview")

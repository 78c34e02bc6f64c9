"""Somebody at the console of a running stack, in a real browser."""

import re
from typing import TYPE_CHECKING, Self

from commands.support.pages import read_page
from schemas.settings import Settings
from tests.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

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
        assert await page.evaluate("window.stayed"), "it was seen live"

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

    async def sends_letters_again(self) -> None:
        """Send all letters of a topic with a reason again."""
        page = self._page
        await self._goes_to("/console/data")
        await page.click("#counts a[href*='reason='] >> nth=0")
        await page.click("button:has-text('Send these again')")
        told = await page.inner_text("[role=status]")
        again = re.search(r"(\d+) of (\d+) sent again", told)
        assert again, told
        assert int(again[1]) > 0

    async def rolls_back(self) -> None:
        """Roll back through the page that says what will happen, and see it done."""
        page = self._page
        await self._goes_to("/console/releases")
        await page.click("a:text-is('Roll back')")
        await page.wait_for_selector("text=Generation 1 serves again in place of generation 2")
        await page.fill("[name=actor]", "ann")
        await page.fill("[name=reason]", "a test")
        await page.click("button.first")
        await page.wait_for_selector("[role=status] >> text=done")

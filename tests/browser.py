"""A real browser for tests of pages: the Chromium of this machine, driven by Playwright."""
# ruff: noqa: PLC0415 (Playwright is loaded by the tests that open pages)

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def installed() -> str | None:
    """Return where the browser of this machine is, None where it has none."""
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


@asynccontextmanager
async def open_browser() -> AsyncIterator["BrowserContext"]:
    """Open one with an empty profile. Skips the test where the machine has no browser, and only there."""
    found = installed()
    if found is None:
        pytest.skip(f"no browser is found, none of {', '.join(CHROMIUM)}: apt install chromium")
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        # As root, in containers, it has no sandbox and little shared memory
        flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = await playwright.chromium.launch(executable_path=found, args=flags, timeout=120_000)
        context = await browser.new_context()
        context.set_default_timeout(120_000)
        try:
            yield context
        finally:
            await browser.close()

"""What keeps people from reading a page, as axe-core sees it in the browser."""
# ruff: noqa: PLC0415 (axe-core is loaded by the tests that open pages)

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Page

WIDTHS, SCHEMES = (390, 1280), ("light", "dark")
FAULTS = """async () => (await axe.run({ resultTypes: ['violations'] })).violations
  .filter(found => ['serious', 'critical'].includes(found.impact))
  .map(found => found.id + ': ' + found.nodes.map(node => node.html.slice(0, 200)).join(' '))"""


async def faults_of(page: "Page") -> list[str]:
    """Return what is serious or critical on the open page, and where it is wider than the window.

    Looked at on a phone and a desktop, in light and in dark; the page is left as wide as a desktop, light.
    """
    pytest.importorskip("axe_playwright_python", reason="it is not installed: make setup")
    from axe_playwright_python.base import AXE_SCRIPT

    await page.evaluate(AXE_SCRIPT)
    found: list[str] = []
    for scheme in reversed(SCHEMES):
        await page.emulate_media(color_scheme=scheme)
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 800})
            wide = await page.evaluate("document.documentElement.scrollWidth")
            said = await page.evaluate(FAULTS) + [f"it is {wide} wide"] * (wide > width)
            found += [f"{page.url} at {width}, {scheme}: {one}" for one in said]
    return found

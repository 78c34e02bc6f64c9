"""The pictures of the docs: what browser tests see, kept where ``DOC_PICTURES`` names a folder.

``DOC_PICTURES=docs/pictures pytest tests/flows/test_the_loop.py`` makes them anew.
"""

import asyncio
import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from playwright.async_api import Page

WIDE, TALL = 1280, 800
MOST_BYTES = 60_000
_COLOURS = 96


async def keep_picture_of(page: "Page", name: str) -> None:
    """Keep the upper part of the open page, light, as a small WEBP; nothing where no folder is named."""
    if not (folder := os.environ.get("DOC_PICTURES")):
        return
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size({"width": WIDE, "height": TALL})
    await page.evaluate("window.scrollTo(0, 0)")
    await page.evaluate(
        "Promise.all([...document.images].map(image => { image.loading = 'eager';"
        " return image.decode().catch(() => null) }))"
    )
    small = await asyncio.to_thread(as_small, await page.screenshot(animations="disabled", timeout=120_000))
    assert len(small) <= MOST_BYTES, f"{name}: {len(small)} bytes"
    await asyncio.to_thread((Path(folder) / f"{name}.webp").write_bytes, small)


def as_small(png: bytes) -> bytes:
    """Return a screenshot with few colours, lossless."""
    few = Image.open(BytesIO(png)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).convert("RGB")
    file = BytesIO()
    few.save(file, "WEBP", lossless=True, quality=100, method=6)
    return file.getvalue()

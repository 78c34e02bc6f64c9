"""The pictures of the docs: small, of one size, described, and shown."""

import re
from pathlib import Path

from PIL import Image

from tests.doc_pictures import MOST_BYTES, TALL, WIDE

DOCS = Path(__file__).resolve().parents[1] / "docs"
SHOWN = re.compile(r"!\[([^\]]*)\]\((pictures/[\w-]+\.webp)\)")


def test_each_is_shown_with_words_for_who_does_not_see_it() -> None:
    shown = [found for page in DOCS.glob("*.md") for found in SHOWN.findall(page.read_text())]
    assert [name for words, name in shown if len(words) < 20] == []
    assert {name for _, name in shown} == {f"pictures/{file.name}" for file in DOCS.glob("pictures/*")}


def test_each_is_small_and_as_wide_as_a_desktop() -> None:
    for file in DOCS.glob("pictures/*"):
        assert file.stat().st_size <= MOST_BYTES, file.name
        with Image.open(file) as image:
            assert (image.format, image.size) == ("WEBP", (WIDE, TALL)), file.name

"""Findings with their examples: who the products are, what they are called, and how they look."""

from base64 import b64encode
from collections.abc import Sequence

from completeness.advice import said_of
from completeness.catalogue_tally import CatalogueTally
from completeness.findings import ExampleProduct, Finding, FindingExample, rounded_share
from completeness.raw_finding import RawFinding
from inbound.field_names import meant_by
from media.images import thumbnail
from schemas.printable import printable
from schemas.products import Product
from schemas.rejections import Rejection

VALUE_CHARS = 120
THUMBNAILS, THUMBNAIL_SIDE, THUMBNAIL_BYTES = 80, 96, 8192


def shortened(text: str) -> str:
    """Return a text as one short line that can be shown anywhere."""
    line = " ".join(printable(text[: 4 * VALUE_CHARS]).split())
    return line if len(line) <= VALUE_CHARS else line[: VALUE_CHARS - 1] + "…"


def with_examples(tally: CatalogueTally, found: Sequence[RawFinding], n: int) -> list[Finding]:
    """Look the examples up; pictures are shown first where a finding is about them."""
    thumbnails: dict[str, str | None] = {}
    for one in sorted(found, key=lambda f: f.field != "image"):
        for rows, _, _ in one.examples:
            for name in (tally.spool[row].picture for row in rows):
                if name and len(thumbnails) < THUMBNAILS and name not in thumbnails:
                    thumbnails[name] = _thumbnail(tally, name)
    return [
        Finding(
            name=f"{one.field.partition('.')[0]}.{one.kind}",
            field=shortened(one.field),
            what=shortened(_what(one)),
            products=one.products,
            share=rounded_share(one.products / n),
            advice=said_of(one.field.partition(".")[0], one.kind)[1],
            examples=[
                FindingExample(
                    products=[_example(tally, row, value, one, thumbnails) for row in rows], count=count
                )
                for rows, value, count in one.examples
            ],
        )
        for one in found
    ]


def _what(one: RawFinding) -> str:
    field, _, name = one.field.partition(".")
    what, _ = said_of(field, one.kind)
    meant = meant_by("products", name, Product) if one.kind == "unknown" else None
    hint = f" (is it `{meant}`?)" if meant else ""
    return f"{field} {name!r}{what.removeprefix(field)}{hint}" if name else what


def _example(
    tally: CatalogueTally, row: int, value: str | None, one: RawFinding, thumbnails: dict[str, str | None]
) -> ExampleProduct:
    spooled = tally.spool[row]
    shown = value if value is not None else spooled.start if one.field == "description" else ""
    return ExampleProduct(
        product_id=shortened(spooled.product_id),
        title=shortened(spooled.title),
        value="" if shown == spooled.title else shortened(shown),
        thumbnail=thumbnails.get(spooled.picture),
    )


def _thumbnail(tally: CatalogueTally, name: str) -> str | None:
    found = tally.pictures(name) if tally.pictures is not None and tally.most_pictures else None
    if found is None or isinstance(found, Rejection):
        return None
    try:
        small = thumbnail(found, THUMBNAIL_SIDE)
    except ValueError:
        return None
    return f"data:image/webp;base64,{b64encode(small).decode()}" if len(small) <= THUMBNAIL_BYTES else None

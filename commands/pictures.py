"""``pictures``: what became of the pictures of the catalogue, and asking for another look.

A look is asked for on the topic ``pictures``, for the very record that was read here: a product that has
changed meanwhile is looked at anyhow.
"""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from broker.producing import open_producer
from broker.records import Outgoing
from commands.support.meter import metered
from commands.support.session import find_settings, out, show_json, table
from commands.support.topic_state import read_catalog
from schemas.products import CatalogProduct
from schemas.settings import Settings
from schemas.topics import PICTURES

_EXAMPLES = 5


def pictures(*, again: Literal["failed", "all"] | None, data_dir: Path | None, as_json: bool) -> None:
    """Count products by what became of their picture, with a few of each.

    With ``again``, have those that failed, or all that have an address, fetched and prepared again. Returns
    when that is asked for, not when it is done.
    """
    settings = find_settings(data_dir)
    with metered("reading the catalogue") as meter:
        products = asyncio.run(read_catalog(settings))
        found = by_state(products)
        meter.begin("asking for another look")
        asked = asyncio.run(_ask(settings, to_look_at_again(products, again))) if again else None
    if as_json:
        show_json({"pictures": {state: len(ids) for state, ids in found.items()}, "asked_again": asked})
        return
    table(
        f"pictures of {len(products)} products",
        ["picture", "products", "among them"],
        [(state, len(ids), ", ".join(ids[:_EXAMPLES])) for state, ids in found.items()],
    )
    if asked is not None:
        out.print(f"asked for another look at {asked} pictures", highlight=False)


def by_state(products: Iterable[CatalogProduct]) -> dict[str, list[str]]:
    """Return the ids of products by what became of their picture, in order, the most frequent first.

    ``kept``, ``waiting``, ``none`` (no address), or why it failed; a failed one may have an earlier picture.
    """
    found: dict[str, list[str]] = {}
    for p in sorted(products, key=lambda p: p.product_id):
        found.setdefault(_state(p), []).append(p.product_id)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def to_look_at_again(
    products: Iterable[CatalogProduct], again: Literal["failed", "all"]
) -> list[CatalogProduct]:
    """Return what is to be written to ``pictures``: the products without the mark of the last look."""
    return [
        p.model_copy(update={"image_of": None})
        for p in products
        if p.image is not None and (again == "all" or p.image_problem is not None)
    ]


def _state(product: CatalogProduct) -> str:
    if product.image is None:
        return "none"
    if product.image_problem is not None:
        return product.image_problem.value
    return "kept" if product.image_key is not None else "waiting"


async def _ask(settings: Settings, products: Sequence[CatalogProduct]) -> int:
    topic = settings.topic(PICTURES.name)
    async with open_producer(settings) as producer:
        await producer.send_all(Outgoing(topic, p.to_json(), key=p.product_id.encode()) for p in products)
    return len(products)

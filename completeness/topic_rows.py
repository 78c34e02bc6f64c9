"""The rows of the topic ``catalog``, as it stands now.

Memory holds one partition at a time: of its records the newest of each product.
"""

from collections.abc import AsyncIterator
from contextlib import suppress

from broker.reading import Compacted, open_reader
from completeness.catalogue_row import CatalogueRow
from schemas.base import UNREADABLE
from schemas.products import CatalogProduct
from schemas.settings import Settings
from schemas.topics import CATALOG


async def rows_of_topic(settings: Settings) -> AsyncIterator[CatalogueRow]:
    """Yield every product; ``picture`` is the key of its prepared picture. Raises ``BrokerError``."""
    topic = settings.topic(CATALOG.name)
    async with open_reader(settings, [topic]) as reader:
        ends = await reader.end_offsets()
    for place, end in sorted(ends.items()):
        state = Compacted()
        async with open_reader(settings, [topic], only=[place]) as reader:
            async for record in reader.until({place: end}):
                state.apply(record)
        while state.records:
            key, record = state.records.popitem()
            product = _readable(record.value)
            if product is not None and product.product_id.encode() == key:
                yield row_of(product)


def row_of(product: CatalogProduct) -> CatalogueRow:
    """Return a clean product as a row: what is empty was not sent."""
    sent = {
        "title": product.title or None,
        "description": product.description or None,
        "brand": product.brand or None,
        "category_path": product.category_path or None,
        "availability": product.availability,
    }
    problem = product.image_problem.value if product.image_problem else None
    if problem is None and product.image is not None and product.image_key is None:
        problem = "waiting"
    return CatalogueRow(product, sent, picture=product.image_key or "", picture_problem=problem)


def _readable(raw: bytes | None) -> CatalogProduct | None:
    """Return the product of a record; None for none, and for what anybody else has written."""
    with suppress(*UNREADABLE):
        return CatalogProduct.from_json(raw) if raw else None
    return None

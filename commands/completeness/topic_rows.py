"""The rows of the topic ``catalog``, as it stands now.

Memory holds one partition at a time: of its records the newest of each product.
"""

from collections.abc import AsyncIterator

from commands.completeness.catalogue_row import CatalogueRow
from commands.support.topic_state import each_product
from schemas.products import CatalogProduct
from schemas.settings import Settings


async def rows_of_topic(settings: Settings) -> AsyncIterator[CatalogueRow]:
    """Yield every product; ``picture`` is the key of its prepared picture. Raises ``BrokerError``."""
    async for product in each_product(settings):
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

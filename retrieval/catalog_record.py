"""What a record of the topic ``catalog`` says, for all who keep something in step with it. Pure."""

from pydantic import ValidationError

from retrieval.rows import misfit
from schemas.products import CatalogProduct


def read_product(key: bytes | None, value: bytes | None) -> CatalogProduct | str:
    """Return the product, or why there is none that an index could hold."""
    try:
        product = CatalogProduct.from_json(value or b"")
    except ValidationError as error:
        return f"not a product: {error.error_count()} problems"
    if key is None or key.decode(errors="replace") != product.product_id:
        return "the key is not the product_id"
    return misfit(product) or product

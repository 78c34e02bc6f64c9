"""What becomes of a product and its picture when either of them changes. Pure, see ADR 0015.

Intake alone writes ``catalog``. What the worker says of a picture counts for the very record that it has
read, and for no other.
"""

import hashlib
from typing import Protocol

from schemas.products import CatalogProduct
from stream.versions import Held, HeldPicture


class Addressed(Protocol):
    """Where a picture lies, as ``ProductImage`` and its quicker readers say it."""

    @property
    def uri(self) -> str: ...  # noqa: D102 (those of ProductImage)

    @property
    def sha256(self) -> str | None: ...  # noqa: D102


def held_picture(image: Addressed | None, image_key: str | None) -> HeldPicture | None:
    """Return what is to be remembered of a product's picture."""
    return HeldPicture(address_of(image), image_key) if image is not None and image_key is not None else None


def address_of(image: Addressed) -> bytes:
    """Return 8 bytes that stand for the address and for what the shop says of the file there."""
    said = f"{image.uri}\n{image.sha256 or ''}"
    return hashlib.blake2b(said.encode(errors="surrogatepass"), digest_size=8).digest()


def carried(product: CatalogProduct, held: Held | None) -> CatalogProduct:
    """Return a product with the picture that it has already, when its address has not changed."""
    picture = held.picture if held is not None else None
    if product.image is None or picture is None or picture.address != address_of(product.image):
        return product
    return product.model_copy(update={"image_key": picture.key})


def with_outcome(outcome: CatalogProduct, held: Held | None) -> CatalogProduct | None:
    """Return the product with what became of its picture, under its next version.

    None when the catalogue holds another record of it by now, or this outcome already.
    """
    place = None if held is None or held.place is None else tuple(held.place)
    if held is None or held.version != outcome.version or place != outcome.place:
        return None
    return outcome.model_copy(update={"version": held.version + 1})

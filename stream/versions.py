"""Which record of a product is the newer one.

The rule of intake, after which the order of ``catalog`` is the truth for everybody. A version is compared
with a version. Where either record has none, the later one in the topic holds. A deletion forgets both, so
what is created again may begin at any version. Pure.
"""

from typing import NamedTuple

from schemas.products import CatalogProduct


class HeldPicture(NamedTuple):
    """The prepared picture of a product, and 8 bytes that stand for the address that it came from."""

    address: bytes
    key: str


class Held(NamedTuple):
    """What is remembered of a product's newest record.

    ``place``: its partition, offset and broker's time in ms, where it is known; ``first_seen_ms`` the time of
    the record that created the product.
    """

    version: int
    shop_version: int | None = None
    place: tuple[int, ...] | None = None
    picture: HeldPicture | None = None
    first_seen_ms: int | None = None


def numbered(product: CatalogProduct, held: Held | None) -> CatalogProduct | None:
    """Return the product with a version above the held one and its first time, or None when it is stale."""
    if held is None:
        return product
    if product.shop_version is not None and held.shop_version is not None:
        newer = product.shop_version > held.shop_version
    else:
        newer = follows(product.place, held.place)
    if not newer:
        return None
    version = max(product.version, held.version + 1)
    return product.model_copy(update={"version": version, "first_seen_ms": held.first_seen_ms})


def follows(place: tuple[int, ...] | None, held: tuple[int, ...] | None) -> bool:
    """Say whether a record lies behind another, also when its topic was made anew or has got more partitions.

    >>> follows((0, 8, 50), (0, 7, 50)), follows((0, 7, 50), (0, 7, 50))
    (True, False)
    >>> follows((0, 0, 90), (0, 7, 50)), follows((3, 0, 90), (0, 7, 50))
    (True, True)
    """
    if place is None or held is None:
        return True
    partition, offset, at_ms = place
    held_partition, held_offset, held_at_ms = held
    return at_ms > held_at_ms or (partition == held_partition and offset > held_offset)

"""The catalogue: what shops send (``products``) and the clean form of it (``catalog``).

A null value deletes.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field

from schemas.absent import NOBODY
from schemas.base import Fact, Id, Message, OptionalId, SchemaVersion, Timestamp, refuse_bool
from schemas.bounds import (
    ADDRESS_CHARS,
    BRAND_CHARS,
    CATEGORIES,
    DESCRIPTION_CHARS,
    PRICE,
    TITLE_CHARS,
    VARIANTS,
    VERSION,
)
from schemas.rejections import Reason

_BEGINNING = 100
Attribute = str | int | float | bool | list[str]


def _kept_address(value: object) -> object:
    """Keep of an address that is too long its beginning, which no more is one: the picture fails alone."""
    return f"{value[:_BEGINNING]} ..." if isinstance(value, str) and len(value) > ADDRESS_CHARS else value


def _kept_digest(value: object) -> object:
    return (value.strip().lower() or None) if isinstance(value, str) else value


class ProductImage(Message):
    """A picture by address. The bytes are fetched and prepared by ``media``, never by a model."""

    uri: Annotated[str, Field(max_length=ADDRESS_CHARS), BeforeValidator(_kept_address)]
    sha256: Annotated[
        Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None, BeforeValidator(_kept_digest)
    ] = None


def _without_address(value: object) -> object:
    """Take a picture whose address is null or blank for none."""
    uri = value.get("uri", ...) if isinstance(value, dict) else ...
    blank = uri is None or (isinstance(uri, str) and not uri.strip())
    return None if blank else value


class Product(Message):
    """A product of the shop: the topic ``products``, keyed by ``product_id``.

    ``group_id`` is shared by products that are variants of one. ``version`` rises with every change.
    """

    schema_version: SchemaVersion = 1
    product_id: Id
    title: Annotated[str, Field(max_length=TITLE_CHARS)]
    description: Annotated[str, Field(max_length=DESCRIPTION_CHARS)] | None = None
    brand: Annotated[str, Field(max_length=BRAND_CHARS)] | None = None
    category_path: Annotated[list[str], Field(max_length=CATEGORIES)] = []
    price: Annotated[float, Field(ge=0, le=PRICE), BeforeValidator(refuse_bool)] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    availability: Annotated[str, Field(max_length=64)] | None = None
    attributes: dict[str, Attribute] = {}
    variant_ids: Annotated[list[Id], Field(max_length=VARIANTS)] = []
    group_id: OptionalId = None
    image: Annotated[ProductImage | None, BeforeValidator(_without_address)] = None
    version: Annotated[int, Field(ge=0, le=VERSION), BeforeValidator(refuse_bool)] | None = None
    updated_at: Timestamp | None = None
    deleted: bool = False

    def has_placeholder(self) -> bool:
        """Say whether the id of the product, or of a variant, names nobody."""
        return self.product_id in NOBODY or not NOBODY.isdisjoint((*self.variant_ids, self.group_id))


class Deletion(Message):
    """As much of a product as says that it is gone."""

    schema_version: SchemaVersion = 1
    product_id: Id
    deleted: bool = False

    def has_placeholder(self) -> bool:
        """Say whether the id names nobody."""
        return self.product_id in NOBODY


class CatalogProduct(Fact):
    """A product whose texts are clean: the topic ``catalog``, the only catalogue that training and serving
    read.

    ``version`` rises with every change until the product is deleted: it is the shop's where that is above the
    one before. ``shop_version`` is what the shop sent, ``place`` the partition, the offset and the broker's
    time in ms of its record. ``image`` is where its picture lies, ``image_key`` the prepared picture in the
    artefact store, ``image_problem`` why there is none or not the newest, ``image_of`` the place of the
    record whose picture was looked at last.
    ``first_seen_ms``: the broker's time of the record that created the product; None where it was not kept.
    """  # noqa: D205 (published word for word)

    product_id: str
    title: str
    description: str = ""
    brand: str = ""
    category_path: list[str] = []
    price: float | None = None
    currency: str | None = None
    availability: str | None = None
    attributes: dict[str, Attribute] = {}
    variant_ids: list[str] = []
    group_id: str | None = None
    image: ProductImage | None = None
    image_key: str | None = None
    image_problem: Reason | None = None
    image_of: tuple[int, int, int] | None = None
    version: int
    shop_version: int | None = None
    place: tuple[int, int, int] | None = None
    first_seen_ms: int | None = None

"""What is wrong with one product, by itself. Pure; what needs others to compare with is elsewhere."""

from collections.abc import Iterator
from typing import NamedTuple

from completeness.catalogue_row import CatalogueRow
from completeness.placeholders import is_made_up_price, names_no_picture, says_nothing
from retrieval.document import DESCRIPTION_CHARS_READ, MAX_VALUE_CHARS
from schemas.bounds import ADDRESS_CHARS
from schemas.products import CatalogProduct

# In the order in which a report lists them.
FIELDS = (
    "title",
    "description",
    "brand",
    "category_path",
    "price",
    "currency",
    "availability",
    "attributes",
    "image",
)


class ProductFault(NamedTuple):
    """``kind`` of a ``field``, and the value that shows it."""

    field: str
    kind: str
    value: str

    @property
    def name(self) -> str:
        """The name of the finding."""
        return f"{self.field}.{self.kind}"


def faults_of(row: CatalogueRow) -> Iterator[ProductFault]:
    """Yield the faults of a product, each name once."""
    product = row.product
    refused = {refusal.field for refusal in row.refusals}
    yield from {
        f"{r.field}.{r.kind}": ProductFault(r.field, r.kind, r.message) for r in row.refusals
    }.values()
    if row.refused:
        yield ProductFault("record", "refused", row.refused)
    texts = {
        "title": product.title, "description": product.description, "brand": product.brand,
        "category_path": " > ".join(product.category_path), "availability": product.availability or "",
    }  # fmt: skip
    for field, text in texts.items():
        if field not in refused and (kind := _of_text(row.sent.get(field), text, _leaf(field, product))):
            yield ProductFault(field, kind, text or _written(row.sent.get(field)))
    if len(product.description) > DESCRIPTION_CHARS_READ and "description" not in refused:
        yield ProductFault("description", "unread", f"{len(product.description)} characters")
    if not {"price", "currency"} & refused:
        yield from _of_price(row)
    if "attributes" not in refused:
        yield from _of_attributes(row)
    yield from _of_picture(row, refused)


def _leaf(field: str, product: CatalogProduct) -> str:
    """Return the text that says what the field says: of a category the last one."""
    return product.category_path[-1] if field == "category_path" and product.category_path else ""


def _of_text(sent: object, text: str, leaf: str) -> str | None:
    if sent is None or sent == []:
        return "absent"
    if not text:
        return "blank"
    return "placeholder" if says_nothing(leaf or text) else None


def _of_price(row: CatalogueRow) -> Iterator[ProductFault]:
    price = row.product.price
    if price is None:
        yield ProductFault("price", "absent", "")
    elif price == 0:
        yield ProductFault("price", "zero", "0")
    elif is_made_up_price(price):
        yield ProductFault("price", "placeholder", f"{price:.2f}")
    if row.product.currency is None:
        yield ProductFault("currency", "absent", "" if price is None else f"{price:.2f}")


def _of_attributes(row: CatalogueRow) -> Iterator[ProductFault]:
    attributes = row.product.attributes
    if not attributes:
        yield ProductFault("attributes", "absent", "")
    seen = set()
    for name, value in attributes.items():
        for one in value if isinstance(value, list) else [value]:
            kind = _of_value(one)
            if kind and kind not in seen:
                seen.add(kind)
                yield ProductFault("attributes", kind, f"{name}: {one}")


def _of_value(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    if not value:
        return "blank"
    if says_nothing(value):
        return "placeholder"
    return "unread" if len(value) > MAX_VALUE_CHARS else None


def _of_picture(row: CatalogueRow, refused: set[str]) -> Iterator[ProductFault]:
    image = row.product.image
    address = image.uri if image is not None else row.picture
    if not address and "image" not in refused:
        yield ProductFault("image", "absent", "")
    elif names_no_picture(address):
        yield ProductFault("image", "placeholder", address)
    if len(row.picture) > ADDRESS_CHARS:
        yield ProductFault("image", "too_long", f"{address} (more than {ADDRESS_CHARS} characters)")
    if row.picture_problem:
        yield ProductFault("image", row.picture_problem, address)


def _written(sent: object) -> str:
    return sent[:80] if isinstance(sent, str) and not sent.isspace() else ""

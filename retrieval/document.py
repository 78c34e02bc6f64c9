"""What the models read of a product: its fields, in one string.

So that vectors are found again by it. A line for each of ``FIELDS``: the text, title first, the key of the
prepared picture, the description, the attributes with their names; lines at the end that are blank are left
out. Decides the form, knows no model and no pictures.
"""

import hashlib
import html
import re
from collections.abc import Collection

from schemas.products import Attribute, CatalogProduct

COMPOSITION = 1  # rises with every change of what the document of a product is
MAX_ATTRIBUTES = 8
MAX_VALUE_CHARS = 40
DESCRIPTION_CHARS_READ = 1000
FIELDS = TEXT, PICTURE, DESCRIPTION, ATTRIBUTES = ("text", "picture", "description", "attributes")
FIELD_CHARS = 300  # of description and attributes: some 70 tokens, three times those of a usual text
_SEPARATOR = " | "
_NEXT = "\n"
_MARKUP = re.compile(r"<[/!a-zA-Z][^<>]{0,300}>")


def document_text(product: CatalogProduct) -> str:
    """Return ``title | brand | last category | attribute values``.

    Absent parts are left out, so it may be the title alone. Attributes are taken in the order of their names,
    at most eight, only short texts: long ones and numbers say little to a model and push the title out of its
    window. What was already said is not said twice: every token costs training time.
    """
    leaf = product.category_path[-1] if product.category_path else ""
    parts, said = [product.title], product.title.casefold()
    for values in ([product.brand], [leaf], _attributes(product.attributes)):
        fresh = []
        for value in values:
            if value and value.casefold() not in said:
                fresh.append(value)
                said += _SEPARATOR + value.casefold()
        if fresh:
            parts.append(" ".join(fresh))
    return _SEPARATOR.join(parts)


def document_of(product: CatalogProduct) -> str:
    """Return the document of a product.

    >>> shoe = CatalogProduct(product_id="p", title="Red shoe", image_key="pictures/1/ab/ab", version=1)
    >>> document_of(shoe).split(chr(10))
    ['Red shoe', 'pictures/1/ab/ab']
    >>> document_of(shoe.model_copy(update={"attributes": {"sole": "rubber", "laces": True}})).split(chr(10))
    ['Red shoe | rubber', 'pictures/1/ab/ab', '', 'laces, sole rubber']
    """
    texts = (document_text(product), description_of(product), attributes_of(product))
    text, description, attributes = (" ".join(own.split(_NEXT)) for own in texts)
    lines = text, product.image_key or "", description[:FIELD_CHARS], attributes[:FIELD_CHARS]
    return _NEXT.join(lines).rstrip(_NEXT)


def description_of(product: CatalogProduct) -> str:
    """Return the beginning of the description without markup: its words are searched.

    >>> described = "<p>Warm &amp; light</p>"
    >>> description_of(CatalogProduct(product_id="p", title="Vest", description=described, version=1))
    'Warm & light'
    """
    plain = html.unescape(_MARKUP.sub(" ", product.description))
    return plain.strip()[:DESCRIPTION_CHARS_READ]


def attributes_of(product: CatalogProduct) -> str:
    """Return ``name values`` of each attribute in the order of their names; of a boolean its name if true.

    Numbers are left out: they say little to a model, and stock or ratings would be encoded with every change.
    """
    told = []
    for name, value in sorted(product.attributes.items()):
        if value is True:
            told.append(name)
        elif isinstance(value, str | list):
            told.append(f"{name} {' '.join(value) if isinstance(value, list) else value}")
    return ", ".join(told)


def fields_of(document: str) -> dict[str, str]:
    """Return the fields of a document by name; "" where it has none.

    >>> fields_of("Red shoe")
    {'text': 'Red shoe', 'picture': '', 'description': '', 'attributes': ''}
    """
    lines = document.split(_NEXT, len(FIELDS) - 1)
    return dict(zip(FIELDS, lines + [""] * (len(FIELDS) - len(lines)), strict=True))


def only(document: str, fields: Collection[str]) -> str:
    """Return the document of these fields alone; equal ones have equal vectors where no other counts."""
    if _NEXT not in document:
        return document
    lines = [own if name in fields else "" for name, own in fields_of(document).items()]
    return _NEXT.join(lines).rstrip(_NEXT)


def text_of(document: str) -> str:
    """Return the text of a document."""
    return document.partition(_NEXT)[0]


def picture_of(document: str) -> str:
    """Return the key of the prepared picture of a document; "" where there is none."""
    return fields_of(document)[PICTURE]


def document_hash(document: str) -> str:
    """Return the sha256 of a document, as a model reads it.

    Equal document and equal model give an equal vector, which can be taken over.
    """
    return hashlib.sha256(document.encode()).hexdigest()


def _attributes(attributes: dict[str, Attribute]) -> list[str]:
    values: list[str] = []
    for name in sorted(attributes):
        value = attributes[name]
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and 0 < len(text) <= MAX_VALUE_CHARS and text not in values:
                values.append(text)
    return values[:MAX_ATTRIBUTES]

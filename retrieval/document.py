"""What the models read of a product: its text, title first, and the key of its prepared picture.

A document is one string, so that vectors are found again by it: the text, and on a second line the key of the
picture, where there is one. Decides the form, knows no model and no pictures.
"""

import hashlib
import html
import re

from schemas.products import Attribute, CatalogProduct

MAX_ATTRIBUTES = 8
MAX_VALUE_CHARS = 40
DESCRIPTION_CHARS_READ = 1000
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
    """
    text = document_text(product).replace(_NEXT, " ")
    return text + _NEXT + product.image_key if product.image_key else text


def description_of(product: CatalogProduct) -> str:
    """Return the beginning of the description without markup: its words are searched, no model reads it.

    >>> described = "<p>Warm &amp; light</p>"
    >>> description_of(CatalogProduct(product_id="p", title="Vest", description=described, version=1))
    'Warm & light'
    """
    plain = html.unescape(_MARKUP.sub(" ", product.description))
    return plain.strip()[:DESCRIPTION_CHARS_READ]


def text_of(document: str) -> str:
    """Return the text of a document."""
    return document.partition(_NEXT)[0]


def picture_of(document: str) -> str:
    """Return the key of the prepared picture of a document; "" where there is none."""
    return document.partition(_NEXT)[2]


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

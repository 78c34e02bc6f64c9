"""The text of a product that the models read: title first, then what tells it apart.

Decides the form, knows no model.
"""

import hashlib

from schemas.products import Attribute, CatalogProduct

MAX_ATTRIBUTES = 8
MAX_VALUE_CHARS = 40
_SEPARATOR = " | "


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


def document_hash(text: str) -> str:
    """Return the sha256 of a document text.

    Equal text and equal model give an equal vector, which can be taken over.
    """
    return hashlib.sha256(text.encode()).hexdigest()


def _attributes(attributes: dict[str, Attribute]) -> list[str]:
    values: list[str] = []
    for name in sorted(attributes):
        value = attributes[name]
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and 0 < len(text) <= MAX_VALUE_CHARS and text not in values:
                values.append(text)
    return values[:MAX_ATTRIBUTES]

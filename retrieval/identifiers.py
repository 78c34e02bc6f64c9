"""What names one product: its id, those of its variants, what an attribute such as ``sku`` or ``ean`` holds.

Two spellings are one name when they differ in case, spaces and hyphens alone, or as GTINs (8 to 14 digits) in
leading zeros. A name holds a digit: a product whose id is ``shoes`` would otherwise stand above all others
for everybody who looks for shoes. Pure.
"""

import re
import unicodedata
from collections.abc import Iterator

from schemas.bounds import ID_CHARS, IDENTIFIERS
from schemas.products import Attribute, CatalogProduct
from schemas.text import normalise_query

_NAMING = re.compile(
    r"(?:variant|product|item)?(?:sku|(?P<gtin>ean|gtin|upc|barcode)|isbn|mpn)s?(?:code|number|no|nr|id)?\d*"
)
_BETWEEN = re.compile(r"[\s\-\u2010-\u2015\u2212]+")
_GTIN, _SHORTEST = 14, 8  # digits


def identifiers_of(product: CatalogProduct) -> list[str]:
    """Return what names the product beside its id, as the shop writes it, at most ``IDENTIFIERS``.

    >>> shoe = CatalogProduct(product_id="p1", title="Shoe", version=1, attributes={"EAN-13": 4006381333931})
    >>> identifiers_of(shoe)
    ['4006381333931']
    """
    found = dict.fromkeys(product.variant_ids)
    for name in sorted(product.attributes):
        if naming := _NAMING.fullmatch(re.sub(r"[\W_]", "", name.casefold())):
            found |= dict.fromkeys(_written(product.attributes[name], gtin=naming["gtin"] is not None))
        if len(found) >= IDENTIFIERS:
            break
    return list(found)[:IDENTIFIERS]


def spellings(name: str) -> tuple[str, ...]:
    """Return a name as it is written and as it is compared, which no other kind of name shares; () for none.

    >>> spellings("AB-12 34"), spellings("036000291452"), spellings("shoes")
    (('=ab-12 34', '~ab1234'), ('=036000291452', '~00036000291452'), ())
    """
    if len(name) > ID_CHARS or not any(map(str.isdigit, name)):
        return ()
    written = normalise_query(name)
    folded = _BETWEEN.sub("", unicodedata.normalize("NFKC", written))
    if folded.isascii() and folded.isdigit() and _SHORTEST <= len(folded) <= _GTIN:
        if not folded.strip("0"):
            return ()
        folded = folded.zfill(_GTIN)
    return f"={written}", f"~{folded}"


def _written(value: Attribute, *, gtin: bool) -> Iterator[str]:
    """Yield the texts of a value; a GTIN that lost its zeros as a number also with some of them."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, bool) or (isinstance(one, float) and not one.is_integer()):
            continue
        text = str(int(one)) if isinstance(one, float) else str(one).strip()
        yield text
        if gtin and text.isascii() and text.isdigit() and len(text) < _SHORTEST:
            yield text.zfill(_SHORTEST)

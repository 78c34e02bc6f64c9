"""The rows of a file of products, judged as intake would.

What intake refuses is looked at as far as it can be read.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from broker.records import Record
from completeness.catalogue_row import CatalogueRow, Deleted, FieldRefusal, Unread
from inbound.raw_records import fields_of, key_in
from inbound.validation import Tombstone
from inbound.validators import VALIDATORS
from schemas.bounds import ADDRESS_CHARS, BRAND_CHARS, CATEGORIES, DESCRIPTION_CHARS, PRICE, TITLE_CHARS
from schemas.products import CatalogProduct, Product, ProductImage
from schemas.rejections import Reason, Rejection
from schemas.settings import IntakeRules
from schemas.text import clean_text
from schemas.topics import PRODUCTS

_KNOWN = frozenset(Product.model_fields)
_OF_ENVELOPES = frozenset({"timestamp"})
_TOO_LONG = frozenset({"string_too_long", "too_long"})
_CHARS = {"title": TITLE_CHARS, "description": DESCRIPTION_CHARS, "brand": BRAND_CHARS}
_OTHER_TEXTS = ("currency", "availability", "group_id")
# The rules of one product see these by themselves.
_SEEN_ELSEWHERE = frozenset({Reason.BLANK_TEXT, Reason.PLACEHOLDER_TEXT})
_UNREAD = frozenset(
    {Reason.JSON_DECODE, Reason.NOT_OBJECT, Reason.UNDECODABLE_TEXT, Reason.ENVELOPE_CONFLICT}
)


def rows_of_lines(
    lines: Iterable[tuple[int, bytes | Rejection]], rules: IntakeRules
) -> Iterator[CatalogueRow | Deleted | Unread]:
    """Yield what becomes of each line; ``picture`` is what stands where the address of one should."""
    now = datetime.now(UTC)
    for number, line in lines:
        yield _unread(number, line) if isinstance(line, Rejection) else _row(number, line, now, rules)


def _row(number: int, line: bytes, now: datetime, rules: IntakeRules) -> CatalogueRow | Deleted | Unread:
    sent = fields_of(line)
    record = Record(PRODUCTS.name, 0, number, 0, key_in(PRODUCTS.name, sent), line)
    judged = VALIDATORS[PRODUCTS.name](record, now, rules)
    if isinstance(judged, Tombstone):
        return Deleted(judged.product_id)
    unknown = sorted(sent.keys() - _KNOWN - _OF_ENVELOPES) if sent.keys() - _KNOWN else ()
    if isinstance(judged, CatalogProduct):
        return CatalogueRow(judged, sent, picture=_address(sent), unknown=unknown)
    assert isinstance(judged, Rejection)
    if not sent or judged.reason in _UNREAD:
        return _unread(number, judged)
    return CatalogueRow(
        _as_far_as_it_can_be_read(number, sent),
        sent,
        picture=_address(sent),
        unknown=unknown,
        refusals=_refusals(judged, sent),
        refused=_whole(judged),
    )


def _unread(number: int, why: Rejection) -> Unread:
    return Unread(number, f"{why.reason}: {why.problems[0].message}" if why.problems else why.reason.value)


def _refusals(judged: Rejection, sent: Mapping[str, object]) -> list[FieldRefusal]:
    found = [
        FieldRefusal(field, "too_long", f"more than {most} characters")
        for field, most in _CHARS.items()
        if isinstance(text := sent.get(field), str) and len(text) > most
    ]
    long = {refusal.field for refusal in found}
    if judged.reason in _SEEN_ELSEWHERE:
        return found
    for problem in judged.problems:
        field = problem.loc.partition(".")[0]
        if field in sent and field != "product_id" and field not in long:
            kind = "too_long" if problem.type in _TOO_LONG else "invalid"
            value = str(sent[field])[:80]
            found.append(FieldRefusal(field, kind, f"{value} ({problem.message})"))
    return found


def _whole(judged: Rejection) -> str | None:
    """Return why a record is refused as a whole; None where its fields say it."""
    if judged.reason in _SEEN_ELSEWHERE:
        return None
    named = [
        p for p in judged.problems if p.loc.partition(".")[0] in _KNOWN - {"product_id", "schema_version"}
    ]
    if named and len(named) == len(judged.problems):
        return None
    return "; ".join(f"{p.loc} {p.message}".strip() for p in judged.problems if p not in named)[:200]


def _address(sent: Mapping[str, object]) -> str:
    image = sent.get("image")
    address = image.get("uri") if isinstance(image, dict) else image
    return address[: ADDRESS_CHARS + 1] if isinstance(address, str) else ""


def _as_far_as_it_can_be_read(number: int, sent: Mapping[str, Any]) -> CatalogProduct:
    """Return a product of the fields that have the type which they should have."""
    path, attributes = sent.get("category_path"), sent.get("attributes")
    texts = {
        name: clean_text(sent[name][:most]) if isinstance(sent.get(name), str) else ""
        for name, most in _CHARS.items()
    }
    others = {name: value if isinstance(value := sent.get(name), str) else None for name in _OTHER_TEXTS}
    return CatalogProduct(
        product_id=str(sent.get("product_id") or f"line {number}")[:256],
        category_path=[clean_text(c) for c in path[:CATEGORIES] if isinstance(c, str)]
        if isinstance(path, list)
        else [],
        price=_price(sent.get("price")),
        attributes={n: v for n, v in attributes.items() if isinstance(v, str | int | float)}
        if isinstance(attributes, dict)
        else {},
        image=_image(sent.get("image")),
        version=0,
        **texts,
        **others,
    )


def _price(sent: object) -> float | None:
    good = isinstance(sent, int | float) and not isinstance(sent, bool) and 0 <= sent <= PRICE
    return float(sent) if isinstance(sent, int | float) and good else None


def _image(sent: object) -> ProductImage | None:
    try:
        return ProductImage.model_validate(sent)
    except ValidationError:
        return None

"""Decide what becomes of a raw record.

A clean fact, a tombstone, something to ignore, or a rejection with its reason. Pure: the clock is an
argument. Knows nothing of the catalogue; whether a product exists is asked elsewhere.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pydantic_core import to_json

from broker.records import Record
from inbound.envelope import Decoded, agreed_id, decode, open_record
from schemas.absent import NOBODY, PROGRAM_WORDS
from schemas.base import NO_CONTROL
from schemas.bounds import ATTRIBUTES_BYTES, EXACT_INTEGER, ID_CHARS, ITEM_BYTES, LINE_MINOR, SHOWN_BYTES
from schemas.decoding import read, refuse
from schemas.events import (
    ACTION_ALIASES,
    Action,
    CleanInteraction,
    CleanSearch,
    Erasure,
    Forget,
    Interaction,
    Line,
    Search,
)
from schemas.products import Attribute, CatalogProduct, Deletion, Product
from schemas.rejections import Reason, Rejection
from schemas.settings import IntakeRules
from schemas.text import clean_text, is_placeholder, normalise_query

_ACTIONS: dict[str, Action] = {**{a.value: a for a in Action}, **ACTION_ALIASES}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_IS_ID = re.compile(NO_CONTROL.replace("$", r"\Z"))
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The shop has deleted this product."""

    product_id: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A good record that must not count, and why."""

    why: str


class _Told(NamedTuple):
    """What every event says: its id, when it happened in epoch milliseconds, and whose it is."""

    event_id: str
    at_ms: int
    shopper: str


def validate_search(  # noqa: PLR0911 - one return per refusal
    record: Record, now: datetime, settings: IntakeRules
) -> CleanSearch | Rejection | Ignored:
    """Return the search with its normalised query and the products it showed, best first, each once."""
    decoded = decode(record, Search, max_bytes=settings.max_record_bytes)
    if isinstance(decoded, Rejection):
        return decoded
    search = decoded.message
    if search.is_bot:
        return Ignored("bot")
    told = _told(decoded, record, now, settings)
    if isinstance(told, Rejection):
        return told
    query = normalise_query(search.user_query)
    if not query:
        return refuse(Reason.BLANK_TEXT, "user_query")
    if search.user_query.strip() in PROGRAM_WORDS:
        return refuse(
            Reason.PLACEHOLDER_TEXT, "user_query", "a word that programs write where there is nothing"
        )
    shown = list(dict.fromkeys(search.shown()))
    if _too_many_bytes(record, SHOWN_BYTES, shown):
        return refuse(
            Reason.SCHEMA,
            "hits" if search.hits else "query_response_hit_ids",
            f"ids of more than {SHOWN_BYTES} bytes together",
        )
    return CleanSearch(
        event_id=told.event_id,
        shopper=told.shopper,
        at_ms=told.at_ms,
        query_id=search.query_id,
        query=query,
        shown=shown,
        session_id=search.session_id,
        generation=search.generation
        if search.generation is not None and abs(search.generation) <= EXACT_INTEGER
        else None,
        seal=search.seal,
        placed=[p for p in dict.fromkeys(search.placed) if p in shown] if search.placed else [],
    )


def validate_interaction(  # noqa: PLR0911 - one return per refusal
    record: Record, now: datetime, settings: IntakeRules
) -> CleanInteraction | Rejection | Ignored:
    """Return the interaction as lines of one product each.

    A purchase without ``order_id`` is its own order; a refund without one is refused, since nothing says what
    it gives back.
    """
    decoded = decode(record, Interaction, max_bytes=settings.max_record_bytes)
    if isinstance(decoded, Rejection):
        return decoded
    raw = decoded.message
    if raw.is_bot:
        return Ignored("bot")
    told = _told(decoded, record, now, settings)
    if isinstance(told, Rejection):
        return told
    action = _ACTIONS.get(raw.action_name)
    if action is None:
        return refuse(Reason.UNKNOWN_ACTION, "action_name")
    lines = _lines(raw, record)
    if isinstance(lines, Rejection):
        return lines
    order_id = raw.order_id
    if order_id is None and action is Action.REFUND:
        return refuse(Reason.SCHEMA, "order_id", "a refund names its order")
    return CleanInteraction(
        event_id=told.event_id,
        shopper=told.shopper,
        at_ms=told.at_ms,
        action=action,
        lines=lines,
        query_id=raw.query_id,
        query=_query(raw.user_query),
        order_id=order_id or (told.event_id if action is Action.PURCHASE else None),
        session_id=raw.session_id,
    )


def validate_erasure(record: Record, now: datetime, settings: IntakeRules) -> Forget | Rejection:
    """Return whom to forget: the shopper that the events with the same ids have, known or not."""
    decoded = decode(record, Erasure, max_bytes=settings.max_record_bytes)
    if isinstance(decoded, Rejection):
        return decoded
    told = _told(decoded, record, now, settings)
    if isinstance(told, Rejection):
        return told
    return Forget(event_id=told.event_id, shopper=told.shopper, at_ms=told.at_ms)


def validate_product(record: Record, settings: IntakeRules) -> CatalogProduct | Tombstone | Rejection:  # noqa: PLR0911 - one return per refusal
    """Return the product with clean texts.

    A null value, or ``deleted: true`` whatever stands beside it, deletes. The key must be the product_id.
    Without a version the record's offset stands for it (``stream.versions`` makes it rise).
    """
    try:
        key = record.key.decode() if record.key else None
    except UnicodeDecodeError:
        return refuse(Reason.UNDECODABLE_TEXT, "key", "the key is not UTF-8")
    product = _product_of(record, key, settings)
    if not isinstance(product, Product):
        return product
    if product.product_id != key:
        return refuse(Reason.KEY_MISMATCH, "product_id", "the key is another product")
    if _too_many_bytes(record, ATTRIBUTES_BYTES, (to_json(product.attributes).decode(),)):
        return refuse(Reason.SCHEMA, "attributes", f"more than {ATTRIBUTES_BYTES} bytes together")
    title = clean_text(product.title)
    if not title:
        return refuse(Reason.BLANK_TEXT, "title")
    if is_placeholder(title):
        return refuse(Reason.PLACEHOLDER_TEXT, "title")
    return CatalogProduct(
        product_id=product.product_id,
        title=title,
        description=clean_text(product.description or ""),
        brand=clean_text(product.brand or ""),
        category_path=[c for c in map(clean_text, product.category_path) if c],
        price=product.price,
        currency=product.currency,
        availability=product.availability,
        attributes={name: _clean_attribute(value) for name, value in product.attributes.items()},
        variant_ids=product.variant_ids,
        group_id=product.group_id,
        image=product.image,
        version=record.offset if product.version is None else product.version,
        shop_version=product.version,
        place=(record.partition, record.offset, record.timestamp_ms),
        first_seen_ms=record.timestamp_ms,
    )


def _told(
    decoded: Decoded[Search] | Decoded[Interaction] | Decoded[Erasure],
    record: Record,
    now: datetime,
    settings: IntakeRules,
) -> _Told | Rejection:
    raw = decoded.message
    event_id = agreed_id(raw.event_id, decoded.envelope_id, record)
    if isinstance(event_id, Rejection):
        return event_id
    at_ms = _occurred(raw.timestamp, now, settings)
    if isinstance(at_ms, Rejection):
        return at_ms
    shopper = raw.client_id or raw.session_id or raw.user_id or raw.query_id
    if not shopper:
        return refuse(
            Reason.NO_IDENTITY, message="one of client_id, session_id, user_id, query_id is expected"
        )
    return _Told(event_id, at_ms, shopper)


def _occurred(timestamp: datetime, now: datetime, settings: IntakeRules) -> int | Rejection:
    if timestamp.tzinfo is None:
        if not settings.assume_utc:
            return refuse(Reason.NAIVE_TIMESTAMP, "timestamp", "a timestamp needs a zone")
        timestamp = timestamp.replace(tzinfo=UTC)
    age = now - timestamp
    if age < -settings.max_future:
        return refuse(Reason.FUTURE_TIMESTAMP, "timestamp")
    if age > settings.max_event_age:
        return refuse(Reason.TOO_OLD, "timestamp")
    return (timestamp - _EPOCH) // _MILLISECOND


def _query(text: str | None) -> str | None:
    return (normalise_query(text) or None) if text and text.strip() not in PROGRAM_WORDS else None


def _too_many_bytes(record: Record, most: int, texts: Iterable[str]) -> bool:
    """Say whether texts are more bytes than fit; a record that is itself no longer needs no counting."""
    return len(record.value or b"") > most and sum(len(text.encode()) for text in texts) > most


def _product_of(record: Record, key: str | None, settings: IntakeRules) -> Product | Tombstone | Rejection:
    opened = open_record(record, max_bytes=settings.max_record_bytes)
    if isinstance(opened, Rejection):
        return opened
    value = opened.value
    if value is None and (record.value is None or opened.deletes):
        named = key is not None and len(key) <= ID_CHARS and _IS_ID.match(key) and key not in NOBODY
        return (
            Tombstone(key)
            if key and named
            else refuse(Reason.KEY_MISMATCH, "key", "a tombstone's key is the id of a product")
        )
    if value is None:
        return refuse(
            Reason.SCHEMA,
            "data",
            "a CloudEvents envelope with a JSON object in data or data_base64 is expected",
        )
    return _deletion(value, key) or read(value, Product, max_bytes=settings.max_record_bytes)


def _deletion(value: bytes, key: str | None) -> Tombstone | Rejection | None:
    """Return what a product that may say ``deleted`` deletes; None when it does not."""
    if b'"deleted"' not in value:
        return None
    gone = read(value, Deletion, max_bytes=len(value))
    if isinstance(gone, Rejection):
        return gone
    if not gone.deleted:
        return None
    if gone.product_id != key:
        return refuse(Reason.KEY_MISMATCH, "product_id", "the key is another product")
    return Tombstone(gone.product_id)


def _lines(raw: Interaction, record: Record) -> list[Line] | Rejection:
    if not raw.items:
        attributes = raw.event_attributes
        product_id = attributes.object.object_id if attributes and attributes.object else raw.object_id
        return (
            [Line(product_id=product_id)]
            if product_id
            else refuse(Reason.NO_PRODUCT, message="an object or items are expected")
        )
    lines = [
        Line(
            product_id=item.object_id,
            units=item.quantity,
            revenue_minor=round((item.unit_price or 0.0) * 100) * item.quantity,
            query_id=item.query_id,
        )
        for item in raw.items
    ]
    if _too_many_bytes(
        record, ITEM_BYTES, (i for line in lines for i in (line.product_id, line.query_id or ""))
    ):
        return refuse(Reason.SCHEMA, "items", f"ids of more than {ITEM_BYTES} bytes together")
    dear = next((n for n, line in enumerate(lines) if line.revenue_minor > LINE_MINOR), None)
    if dear is not None:
        return refuse(
            Reason.SCHEMA,
            f"items.{dear}.unit_price",
            f"price times quantity is more than {LINE_MINOR / 100:g}",
        )
    return lines


def _clean_attribute(value: Attribute) -> Attribute:
    if isinstance(value, str):
        return clean_text(value)
    return [clean_text(v) for v in value] if isinstance(value, list) else value

"""Segment's ecommerce spec (v2, also RudderStack): ``track`` calls, one per line.

Segment's ``Products Searched`` has no query id: a custom ``properties.query_id`` is taken, else the search is
known by its ``messageId`` and later events find it by session and words.
"""

from inbound.importers.fields import (
    Identity,
    derived_id,
    first_id,
    first_text,
    objects,
    present,
    rank,
    section,
)
from inbound.importers.outcome import Batch, Body, Records, Skipped, Why
from inbound.importers.record_parts import ORDERS, line_of, search_of
from inbound.importers.wrapping import together, unnamed, unwrapped
from schemas.bounds import SHOWN_IDS
from schemas.events import Action
from schemas.rejections import Rejection

BATCHES = (("batch",),)
_ACTIONS = {
    "Product List Viewed": Action.IMPRESSION,
    "Product Clicked": Action.CLICK,
    "Product Viewed": Action.VIEW,
    "Product Added": Action.ADD_TO_CART,
    "Product Removed": Action.REMOVE_FROM_CART,
    "Order Completed": Action.PURCHASE,
    "Order Refunded": Action.REFUND,
    "Order Cancelled": Action.REFUND,
}


def convert(
    record: Body, *, position_base: int = 1, product_field: str = "product_id"
) -> Records | Batch | Skipped | Rejection:
    """Return the search or the interaction of a call.

    ``product_field`` names the catalogue's id in it (``sku``, say). A refund that lists no products gives
    everything back, but does not say what that was: skipped. A body of the batch API is its calls.
    """
    batch = unwrapped(record, *BATCHES)
    if batch is not None:
        shared = {name: value for name, value in record.items() if name not in {"batch", "messageId"}}
        return together(batch, lambda call: _convert(shared | call, position_base, product_field))
    return _convert(record, position_base, product_field)


def _convert(record: Body, position_base: int, product_field: str) -> Records | Skipped | Rejection:
    event = record.get("event")
    kind = record.get("type")
    if event is None and (kind is None or kind == "track"):
        return unnamed("event")
    if record.get("type", "track") != "track" or not isinstance(event, str):
        return Skipped(Why.UNUSED_ACTION, str(event or kind))
    properties = section(record, "properties")
    products = [
        (p, first_id(p.get(product_field))) for p in objects(properties.get("products")) or [properties]
    ]
    found = [(p, product) for p, product in products if product is not None]
    if event == "Products Searched":
        shown = [product for _, product in found][:SHOWN_IDS]
        envelope = _envelope(record, properties)
        return search_of(envelope, properties.get("query"), query_response_hit_ids=shown)
    action = _ACTIONS.get(event)
    if action is None:
        return Skipped(Why.UNUSED_ACTION, event)
    if not found:
        return Skipped(Why.NO_PRODUCT, event)
    body = present(
        **_envelope(record, properties),
        action_name=action.value,
        user_query=first_text(properties.get("query")),
        order_id=first_id(properties.get("order_id")) if action in ORDERS else None,
        items=[_item(product, p, properties, position_base) for p, product in found],
    )
    return [("interactions", body)]


def _item(product: Identity, properties: Body, event: Body, base: int) -> Body:
    """``properties`` are the product's own, or the event's where the event is about one product."""
    return line_of(
        product,
        properties.get("quantity"),
        properties.get("price"),
        (properties.get("currency"), event.get("currency")),
        query_id=first_id(properties.get("query_id")) if properties is not event else None,
        ordinal=rank(properties.get("position"), base),
    )


def _envelope(record: Body, properties: Body) -> Body:
    return {
        "event_id": first_text(record.get("messageId")) or derived_id("segment", record),
        "timestamp": record.get("timestamp") or record.get("originalTimestamp"),
        "client_id": first_id(record.get("anonymousId")),
        "session_id": first_id(properties.get("session_id"), section(record, "context").get("sessionId")),
        "user_id": first_id(record.get("userId")),
        "query_id": first_id(properties.get("query_id")),
    }

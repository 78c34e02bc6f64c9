"""User events of Google's commerce search (Vertex AI Search for commerce, earlier Retail API), one per line.

``attributionToken`` names the search. A product page that was reached with one is a click on that search's
result, without one a view.
"""

from inbound.importers.fields import (
    Identity,
    derived_id,
    first_id,
    first_text,
    objects,
    present,
    section,
)
from inbound.importers.outcome import Batch, Body, Records, Skipped, Why
from inbound.importers.record_parts import line_of, search_of
from inbound.importers.wrapping import together, unnamed, unwrapped
from schemas.bounds import ID_CHARS, SHOWN_IDS
from schemas.events import Action
from schemas.rejections import Rejection

BATCHES = (
    ("userEvents",),
    ("userEventInlineSource", "userEvents"),
    ("inputConfig", "userEventInlineSource", "userEvents"),
)
_ACTIONS = {
    "detail-page-view": Action.VIEW,
    "add-to-cart": Action.ADD_TO_CART,
    "remove-from-cart": Action.REMOVE_FROM_CART,
    "purchase-complete": Action.PURCHASE,
}


def convert(record: Body) -> Records | Batch | Skipped | Rejection:
    """Return the search or the interaction of an event.

    A search for a category alone has no words and is skipped. The body of an import request is its
    ``userEvents``.
    """
    sent = unwrapped(record, *BATCHES)
    return together(sent, _convert) if sent is not None else _convert(record)


def _convert(record: Body) -> Records | Skipped | Rejection:
    if isinstance(record.get("userEvent"), dict):
        record = section(record, "userEvent")
    kind = record.get("eventType")
    if kind is None:
        return unnamed("eventType")
    details = [
        (detail, product)
        for detail in objects(record.get("productDetails"))
        if (product := _product(detail)) is not None
    ]
    if kind == "search":
        offset = record.get("offset")
        first = offset + 1 if isinstance(offset, int) and offset > 0 else 1
        hits = [
            {"object_id": product, "rank": rank}
            for rank, (_, product) in enumerate(details[:SHOWN_IDS], start=first)
        ]
        return search_of(_envelope(record), record.get("searchQuery"), hits=hits)
    action = _ACTIONS.get(kind) if isinstance(kind, str) else None
    if action is None:
        return Skipped(Why.UNUSED_ACTION, str(kind))
    if not details:
        return Skipped(Why.NO_PRODUCT, str(kind))
    envelope = _envelope(record)
    if action is Action.VIEW and envelope["query_id"] is not None:
        action = Action.CLICK
    order = section(record, "purchaseTransaction")
    body = present(
        **envelope,
        action_name=action.value,
        user_query=first_text(record.get("searchQuery")),
        order_id=first_id(order.get("id")) if action is Action.PURCHASE else None,
        items=[_item(product, detail, order.get("currencyCode")) for detail, product in details],
    )
    return [("interactions", body)]


def _item(product: Identity, detail: Body, currency: object) -> Body:
    info = section(section(detail, "product"), "priceInfo")
    return line_of(product, detail.get("quantity"), info.get("price"), (info.get("currencyCode"), currency))


def _product(detail: Body) -> Identity | None:
    """Return the product's id, or the last part of its resource name."""
    product = section(detail, "product")
    name = first_text(product.get("name"))
    return first_id(product.get("id"), name.rpartition("/")[2] if name else None)


def _envelope(record: Body) -> Body:
    return {
        "event_id": derived_id("google", record),
        "timestamp": record.get("eventTime"),
        "client_id": first_id(record.get("visitorId")),
        "session_id": first_id(record.get("sessionId")),
        "user_id": first_id(section(record, "userInfo").get("userId")),
        "query_id": _token(record.get("attributionToken")),
    }


def _token(value: object) -> Identity | None:
    """Return the token, or for one longer than our ids an id derived from it.

    The same for the search and for what followed it.
    """
    token = first_id(value)
    return (
        derived_id("google-token", {"token": token})
        if isinstance(token, str) and len(token) > ID_CHARS
        else token
    )

"""Algolia Insights events, one per line, and the answers of its search API as far as a shop has logged them.

Insights knows a search only by its ``queryID``: the words and the hits come from a logged answer (``query``,
``queryID``, ``hits``).
"""

from itertools import zip_longest

from inbound.importers.fields import (
    Identity,
    derived_id,
    first_id,
    first_text,
    listed,
    objects,
    present,
    rank,
)
from inbound.importers.outcome import Batch, Body, Records, Skipped, Why
from inbound.importers.record_parts import line_of
from inbound.importers.wrapping import together, unnamed, unwrapped
from schemas.bounds import SHOWN_IDS
from schemas.events import Action
from schemas.rejections import Rejection

# Where a line holds the records that it is a batch of.
BATCHES = ("events",), ("results",)
_ACTIONS = {
    ("view", None): Action.IMPRESSION,
    ("click", None): Action.CLICK,
    ("conversion", "addToCart"): Action.ADD_TO_CART,
    ("conversion", "purchase"): Action.PURCHASE,
}


def convert(record: Body, *, position_base: int = 1) -> Records | Batch | Skipped | Rejection:
    """Return the interaction of an event, or the search of a logged answer.

    ``objectIDs[i]`` stands with ``positions[i]`` and ``objectData[i]``; a line's own ``queryID`` wins later
    over the event's. A conversion that is neither cart nor purchase says nothing we use, and an event about
    filters has no product. A request body is its events.
    """
    sent = unwrapped(record, *BATCHES)
    if sent is not None and record.get("eventType") is None:
        return together(sent, lambda part: _convert(part, position_base))
    return _convert(record, position_base)


def _convert(record: Body, position_base: int) -> Records | Skipped | Rejection:
    kind = record.get("eventType")
    if kind is None:
        return _search(record) if "hits" in record else unnamed("eventType")
    subtype = record.get("eventSubtype")
    action = (
        _ACTIONS.get((kind, subtype))
        if isinstance(kind, str) and (subtype is None or isinstance(subtype, str))
        else None
    )
    if action is None:
        return Skipped(Why.UNUSED_ACTION, f"{kind} {subtype}" if subtype else str(kind))
    items = []
    columns = (
        listed(record.get("objectIDs")),
        listed(record.get("positions")),
        listed(record.get("objectData")),
    )
    for object_id, position, data in zip_longest(*columns):
        product = first_id(object_id)
        if product is not None:
            items.append(
                _item(
                    product,
                    rank(position, position_base),
                    data if isinstance(data, dict) else {},
                    record.get("currency"),
                )
            )
    if not items:
        return Skipped(Why.NO_PRODUCT, action.value)
    body = present(
        **_envelope(record), query_id=first_id(record.get("queryID")), action_name=action.value, items=items
    )
    return [("interactions", body)]


def _item(product: Identity, ordinal: int | None, data: Body, currency: object) -> Body:
    query_id = first_id(data.get("queryID"))
    return line_of(
        product, data.get("quantity"), data.get("price"), (currency,), query_id=query_id, ordinal=ordinal
    )


def _search(record: Body) -> Records | Skipped:
    query = first_text(record.get("query"))
    if query is None:
        return Skipped(Why.NO_QUERY)
    shown = [
        found for hit in objects(record["hits"]) if (found := first_id(hit.get("objectID"))) is not None
    ][:SHOWN_IDS]
    return [
        (
            "searches",
            present(
                **_envelope(record),
                query_id=first_id(record.get("queryID")),
                user_query=query,
                query_response_hit_ids=shown,
            ),
        )
    ]


def _envelope(record: Body) -> Body:
    return {
        "event_id": derived_id("algolia", record),
        "timestamp": record.get("timestamp"),
        "client_id": first_id(record.get("userToken")),
        "user_id": first_id(record.get("authenticatedUserToken")),
    }

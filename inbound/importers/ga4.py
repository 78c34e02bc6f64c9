"""Google Analytics 4: rows of its BigQuery export, and Measurement Protocol bodies with one event each.

``view_search_results`` has no query id: a custom parameter ``query_id`` is taken, else one is derived, and
later events find the search by session and words. Google's own samples count ``index`` from 0.
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
from inbound.importers.outcome import Body, Records, Skipped, Why
from inbound.importers.record_parts import ORDERS, line_of, search_of
from inbound.importers.wrapping import unnamed
from schemas.bounds import SHOWN_IDS
from schemas.decoding import refuse
from schemas.events import Action
from schemas.rejections import Reason, Rejection

_ACTIONS = {
    "view_item_list": Action.IMPRESSION,
    "select_item": Action.CLICK,
    "view_item": Action.VIEW,
    "add_to_cart": Action.ADD_TO_CART,
    "remove_from_cart": Action.REMOVE_FROM_CART,
    "purchase": Action.PURCHASE,
    "refund": Action.REFUND,
}


def convert(record: Body, *, position_base: int = 0) -> Records | Skipped | Rejection:
    """Return the search or the interaction of an event.

    A body with several events is refused: split it, one line each.
    """
    sent = objects(record.get("events"))
    if len(sent) > 1:
        return refuse(
            Reason.SCHEMA,
            "events",
            (
                "a body holds several events: one event per line is expected, split it (jq -c '.events[] "
                "as $e | .events = [$e]')"
            ),
        )
    event = {**record, **sent[0]} if sent else record
    name = first_text(event.get("event_name"), event.get("name"))
    params = section(event, "params") or _params(event)
    items = [
        (item, product)
        for item in _items(event, params)
        if (product := first_id(item.get("item_id"))) is not None
    ]
    envelope = _envelope(event, record, params)
    if name == "view_search_results":
        shown = [product for _, product in items][:SHOWN_IDS]
        return search_of(envelope, params.get("search_term"), query_response_hit_ids=shown)
    if name is None:
        return unnamed("event_name")
    action = _ACTIONS.get(name)
    if action is None:
        return Skipped(Why.UNUSED_ACTION, name)
    if not items:
        return Skipped(Why.NO_PRODUCT, name)
    order_id = first_id(params.get("transaction_id")) or first_id(
        section(event, "ecommerce").get("transaction_id")
    )
    body = present(
        **envelope,
        action_name=action.value,
        user_query=first_text(params.get("search_term")),
        order_id=order_id if action in ORDERS else None,
        items=[_item(product, item, params.get("currency"), position_base) for item, product in items],
    )
    return [("interactions", body)]


def _item(product: Identity, item: Body, currency: object, base: int) -> Body:
    index = item.get("index")
    ordinal = rank(item.get("item_list_index") if index is None else index, base)
    return line_of(product, item.get("quantity"), item.get("price"), (currency,), ordinal=ordinal)


def _envelope(event: Body, record: Body, params: Body) -> Body:
    client = first_id(event.get("user_pseudo_id"), event.get("client_id"))
    session = first_id(params.get("ga_session_id"), params.get("session_id"))
    return {
        # Of the entire record: GA4 gives all events of one upload the same time.
        "event_id": derived_id("ga4", record),
        "timestamp": next(
            (event[n] for n in ("event_timestamp", "timestamp_micros") if event.get(n) is not None), None
        ),
        "client_id": client,
        # GA4 numbers sessions within a client.
        "session_id": f"{client}.{session}" if client is not None and session is not None else session,
        "user_id": first_id(event.get("user_id")),
        "query_id": first_id(params.get("query_id")),
    }


def _items(event: Body, params: Body) -> list[Body]:
    return objects(event.get("items")) or objects(params.get("items"))


def _params(event: Body) -> Body:
    """Return the export's list of key and typed value as one object."""
    found: Body = {}
    for param in objects(event.get("event_params")):
        key = param.get("key")
        value = next((v for v in section(param, "value").values() if v is not None), None)
        if isinstance(key, str):
            found[key] = value
    return found

"""User Behavior Insights (OpenSearch, o19s/ubi schema 1.3.0).

Query records become searches, event records interactions. Takes what the schema, its documentation and its
samples disagree on: ``query_response_hit_ids`` and ``..._objects_ids``, integer ids, an ordinal from 0 or 1
(``position_base``) or inside ``{"index": n}`` as in 1.2, timestamps in milliseconds.
"""

from collections.abc import Callable

from inbound.importers.fields import (
    derived_id,
    first_id,
    first_text,
    listed,
    present,
    rank,
    section,
    whole,
)
from inbound.importers.outcome import Batch, Body, Records, Skipped, Why
from inbound.importers.record_parts import ORDERS
from inbound.importers.wrapping import Part, together, unnamed, unwrapped
from schemas.bounds import SHOWN_IDS
from schemas.events import Action
from schemas.rejections import Rejection

BATCHES = (("hits", "hits"),)
ACTIONS = {**{a.value: a for a in Action}, "click_through": Action.CLICK, "watch": Action.VIEW}
# What a query record has and no event does.
_OF_QUERIES = {
    "user_query",
    "query_response_id",
    "query_response_hit_ids",
    "query_response_objects_ids",
    "query_id",
}


def convert_query(record: Body) -> Records | Batch | Skipped | Rejection:
    """Return the search of a query record.

    One without ``user_query`` (a recommendation, say) is skipped, and so is an event.
    """
    return _each(record, _convert_query)


def _convert_query(record: Body) -> Records | Skipped | Rejection:
    if "action_name" in record:
        return Skipped(Why.OTHER_KIND, f"event {record['action_name']}")
    if not _OF_QUERIES & record.keys():
        return unnamed("user_query")
    query = first_text(record.get("user_query"))
    if query is None:
        return Skipped(Why.NO_QUERY)
    shown = listed(record.get("query_response_hit_ids")) or listed(record.get("query_response_objects_ids"))
    body = present(
        **_envelope(record, "ubi-query"),
        user_query=query,
        query_response_hit_ids=[
            whole(found) if isinstance(found, float) else found for found in shown[:SHOWN_IDS]
        ],
        generation=section(record, "query_attributes").get("generation"),
    )
    return [("searches", body)]


def convert_event(record: Body, *, position_base: int = 1) -> Records | Batch | Skipped | Rejection:
    """Return the interaction of an event record; ``position_base`` is the ordinal of the first hit.

    Actions outside of UBI's and ours (a page, a filter, a client-side ``search``) are skipped by name.
    Quantity, price, currency and order stand in ``event_attributes``, where UBI leaves room for them.
    """
    return _each(record, lambda part: _convert_event(part, position_base))


def _convert_event(record: Body, position_base: int) -> Records | Skipped | Rejection:
    if "action_name" not in record:
        return Skipped(Why.OTHER_KIND, "query") if _OF_QUERIES & record.keys() else unnamed("action_name")
    name = record.get("action_name")
    action = ACTIONS.get(name) if isinstance(name, str) else None
    if action is None:
        return Skipped(Why.UNUSED_ACTION, str(name))
    attributes = section(record, "event_attributes")
    thing = section(attributes, "object")
    product = first_id(thing.get("object_id"))
    if product is None:
        return Skipped(Why.NO_PRODUCT, action.value)
    ordinal = _ordinal(section(attributes, "position"), position_base)
    order_id = first_id(attributes.get("order_id"), thing.get("transaction_id")) if action in ORDERS else None
    line = present(**{name: attributes.get(name) for name in ("quantity", "unit_price", "currency")})
    if line:
        what: Body = {"items": [present(object_id=product, **line, ordinal=ordinal)]}
    else:
        what = {"event_attributes": present(object={"object_id": product}, position=present(ordinal=ordinal))}
    envelope = _envelope(record, "ubi-event")
    envelope["session_id"] = first_id(record.get("session_id"), attributes.get("session_id"))
    body = present(
        **envelope,
        action_name=action.value,
        user_query=first_text(record.get("user_query")),
        order_id=order_id,
        **what,
    )
    return [("interactions", body)]


def _each(record: Body, convert: Callable[[Body], Part]) -> Records | Batch | Skipped | Rejection:
    """Convert what an index's own forms hold.

    A document of a dump (``_source``), an answer (``hits.hits``), a line of a bulk request.
    """
    if (
        len(record) == 1
        and isinstance(next(iter(record.values())), dict)
        and next(iter(record)) in {"index", "create", "delete"}
    ):
        return Skipped(Why.UNUSED_ACTION, "an instruction to an index")
    found = unwrapped(record, *BATCHES)
    if found is not None:
        return together(found, lambda part: convert(section(part, "_source")))
    source = record.get("_source")
    return convert(source if isinstance(source, dict) else record)


def _envelope(record: Body, source: str) -> Body:
    return {
        "event_id": first_text(record.get("event_id")) or derived_id(source, record),
        "timestamp": record.get("timestamp"),
        "application": first_text(record.get("application")),
        "client_id": first_id(record.get("client_id")),
        "session_id": first_id(record.get("session_id")),
        "user_id": first_id(record.get("user_id")),
        "query_id": first_id(record.get("query_id")),
        "is_bot": record.get("is_bot"),
    }


def _ordinal(position: Body, base: int) -> int | None:
    # Our own export, where the schema wants a position and there is none
    if position.get("is_known") is False:
        return None
    ordinal = position.get("ordinal")
    return rank(ordinal.get("index") if isinstance(ordinal, dict) else ordinal, base)

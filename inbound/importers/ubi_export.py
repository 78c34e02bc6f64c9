"""Our searches and interactions as UBI 1.3.0 query and event records.

So tools made for UBI can read them. UBI is about one object per event: an interaction with several lines
becomes several events. What UBI has no name for stands where its schema takes more fields:
``event_attributes`` for order, quantity and price, ``query_attributes`` for the generation.
"""

from collections.abc import Iterable

from inbound.importers.fields import present
from inbound.importers.outcome import Body, Skipped, Why
from schemas.events import ACTION_ALIASES, Action, Interaction, Item, Search

_ACTIONS = {**{a.value: a for a in Action}, **ACTION_ALIASES}
_IDS = ("client_id", "session_id", "user_id", "query_id")
_MAX_ID = 100  # UBI's; ours may have 256
# The schema wants a position as soon as there are attributes. Ranks of ours start at 1, so 0 is nobody's.
_UNKNOWN_POSITION: Body = {"ordinal": 0, "is_known": False}


def query_of(search: Search) -> Body | Skipped:
    """Return the query record of a search. An id beyond UBI's 100 characters cannot be said: skipped."""
    envelope = _envelope(search)
    if isinstance(envelope, Skipped):
        return envelope
    return envelope | present(
        user_query=search.user_query,
        query_response_hit_ids=search.shown(),
        query_attributes=present(generation=search.generation),
    )


def events_of(interaction: Interaction) -> list[Body] | Skipped:
    """Return one event record per product, ordinals from 1.

    Lines of the same product are one event with the sum of their units.
    """
    envelope = _envelope(interaction)
    if isinstance(envelope, Skipped):
        return envelope
    action = _ACTIONS.get(interaction.action_name)
    if action is None:
        return Skipped(Why.UNUSED_ACTION, interaction.action_name)
    envelope |= present(action_name=action.value, user_query=interaction.user_query)
    if not interaction.items:
        return _single(interaction, envelope)
    items = _merge(interaction.items)
    events = []
    for number, item in enumerate(items):
        if len(item.query_id or "") > _MAX_ID:
            return Skipped(Why.TOO_LONG, "query_id")
        own = present(query_id=item.query_id)
        if len(items) > 1 and interaction.event_id:
            own["event_id"] = f"{interaction.event_id}/{number}"
        line = present(
            order_id=interaction.order_id,
            quantity=item.quantity,
            unit_price=item.unit_price,
            currency=item.currency,
        )
        events.append(envelope | own | {"event_attributes": _attributes(item.object_id, item.ordinal) | line})
    return events


def _single(interaction: Interaction, envelope: Body) -> list[Body] | Skipped:
    attributes = interaction.event_attributes
    product = attributes.object.object_id if attributes and attributes.object else interaction.object_id
    if product is None:
        return Skipped(Why.NO_PRODUCT, str(envelope["action_name"]))
    ordinal = attributes.position.ordinal if attributes and attributes.position else None
    return [
        envelope
        | {"event_attributes": _attributes(product, ordinal) | present(order_id=interaction.order_id)}
    ]


def _attributes(product: str, ordinal: int | None) -> Body:
    return {
        "object": {"object_id": product},
        "position": {"ordinal": ordinal} if ordinal else _UNKNOWN_POSITION,
    }


def _merge(items: Iterable[Item]) -> list[Item]:
    """Two events of one order and product would be taken for one told twice, so they are one event here."""
    merged: dict[str, Item] = {}
    for item in items:
        known = merged.get(item.object_id)
        if known is None:
            merged[item.object_id] = item
            continue
        units = known.quantity + item.quantity
        value = (known.unit_price or 0.0) * known.quantity + (item.unit_price or 0.0) * item.quantity
        priced = known.unit_price is not None or item.unit_price is not None
        merged[item.object_id] = known.model_copy(
            update={"quantity": units, "unit_price": value / units if priced else None}
        )
    return list(merged.values())


def _envelope(message: Search | Interaction) -> Body | Skipped:
    names = ("event_id", "timestamp", "application", *_IDS, "is_bot")
    fields = present(**message.model_dump(mode="json", include=set(names)))
    long = next((name for name in _IDS if len(str(fields.get(name, ""))) > _MAX_ID), None)
    return fields if long is None else Skipped(Why.TOO_LONG, long)

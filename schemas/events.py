"""What shops send about shoppers, and the clean form of it (``events``).

Shops send ``searches``, ``interactions`` and ``erasures``. Names follow UBI 1.3 wherever UBI has one. The
clean events are micro-batched: see ``schemas.batches``.
"""

from enum import StrEnum
from operator import attrgetter
from typing import Annotated, ClassVar

import msgspec
from pydantic import AliasChoices, BeforeValidator, Field

from schemas.absent import NOBODY
from schemas.base import (
    DAMAGED,
    NO_CONTROL,
    Id,
    Message,
    OptionalId,
    SchemaVersion,
    StreamFact,
    Timestamp,
    refuse_bool,
)
from schemas.bounds import EVENT_ID_CHARS, ITEMS, NAME_CHARS, PRICE, QUANTITY, QUERY_CHARS, RANK, SHOWN_IDS


class Action(StrEnum):
    """What a shopper did with a product. ``impression`` to ``purchase`` in rising order of commitment."""

    IMPRESSION = "impression"
    CLICK = "click"
    VIEW = "view"
    ADD_TO_CART = "add_to_cart"
    REMOVE_FROM_CART = "remove_from_cart"
    PURCHASE = "purchase"
    REFUND = "refund"


ACTION_ALIASES = {
    "watch": Action.VIEW,
    "detail-page-view": Action.VIEW,
    "view_item": Action.VIEW,
    "select_item": Action.CLICK,
    "Product Clicked": Action.CLICK,
    "Product Added": Action.ADD_TO_CART,
    "Product Removed": Action.REMOVE_FROM_CART,
    "Order Completed": Action.PURCHASE,
    "purchase-complete": Action.PURCHASE,
    "order_completed": Action.PURCHASE,
    "Order Refunded": Action.REFUND,
}


_IDS = attrgetter("client_id", "session_id", "user_id", "query_id", "event_id")
_OWN_IDS = attrgetter("client_id", "session_id", "user_id", "query_id", "event_id", "object_id", "order_id")


class _Envelope(Message):
    """The fields of every raw event. One of client_id, session_id, user_id or query_id must be there."""

    event_id: Annotated[str, Field(min_length=1, max_length=EVENT_ID_CHARS, pattern=NO_CONTROL)] | None = None
    schema_version: SchemaVersion = 1
    timestamp: Timestamp
    application: Annotated[str, Field(max_length=NAME_CHARS)] | None = None
    client_id: OptionalId = None
    session_id: OptionalId = None
    user_id: OptionalId = None
    query_id: OptionalId = None
    is_bot: bool | None = None

    def has_placeholder(self) -> bool:
        """Say whether one of the ids that every event may have names nobody."""
        return not NOBODY.isdisjoint(_IDS(self))


class Hit(Message):
    """One product that a search showed. ``rank`` is 1-based.

    ``explored``: the chance with which a new product was chosen to stand there, above its place.
    """

    object_id: Id = Field(validation_alias=AliasChoices("object_id", "product_id"))
    rank: Annotated[int, Field(ge=1, le=RANK)]
    score: float | None = None
    explored: float | None = None


class Search(_Envelope):
    """A search that was answered: the topic ``searches``. Hits are in rank order.

    ``placed`` are those of the products shown that a rule, a draw or an advertisement put there, and not the
    score: what shoppers do with them is credited to no query. ``generation`` and ``seal`` are for our
    searchers: by them the click test knows what a generation has shown.
    """

    query_id: Id
    user_query: Annotated[str, Field(max_length=QUERY_CHARS)]
    query_response_hit_ids: Annotated[list[Id], Field(max_length=SHOWN_IDS)] = Field(
        default_factory=list,
        validation_alias=AliasChoices("query_response_hit_ids", "query_response_objects_ids"),
    )
    hits: Annotated[list[Hit], Field(max_length=SHOWN_IDS)] = Field(default_factory=list)
    placed: Annotated[list[Id], Field(max_length=SHOWN_IDS)] = Field(default_factory=list)
    generation: int | None = None
    seal: OptionalId = None

    def has_placeholder(self) -> bool:
        """Say whether an id of the search, or of what it showed, names nobody."""
        return not (
            NOBODY.isdisjoint(_IDS(self))
            and NOBODY.isdisjoint(self.query_response_hit_ids)
            and (not self.hits or NOBODY.isdisjoint(self.shown()))
        )

    def shown(self) -> list[str]:
        """Return the product ids that were shown, best first; ``hits`` takes precedence."""
        if self.hits:
            return [h.object_id for h in sorted(self.hits, key=lambda h: h.rank)]
        return list(self.query_response_hit_ids)


class EventObject(Message):
    """The thing an interaction is about (UBI ``event_attributes.object``)."""

    object_id: Id


class Position(Message):
    """Where the thing stood (UBI ``event_attributes.position``). ``ordinal`` is 1-based."""

    ordinal: Annotated[int, Field(ge=0, le=RANK)] | None = None


class EventAttributes(Message):
    """UBI's ``event_attributes``, as far as we read it."""

    object: EventObject | None = None
    position: Position | None = None


class Item(Message):
    """One line of an interaction. ``unit_price`` is in major units of ``currency``."""

    object_id: Id = Field(validation_alias=AliasChoices("object_id", "product_id"))
    quantity: Annotated[int, Field(ge=1, le=QUANTITY), BeforeValidator(refuse_bool)] = 1
    unit_price: Annotated[float, Field(ge=0, le=PRICE), BeforeValidator(refuse_bool)] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    query_id: OptionalId = None
    ordinal: Annotated[int, Field(ge=1, le=RANK)] | None = None


class Interaction(_Envelope):
    """Something a shopper did: the topic ``interactions``. One object, or a list of items."""

    action_name: Annotated[str, Field(min_length=1, max_length=NAME_CHARS)]
    user_query: Annotated[str, Field(max_length=QUERY_CHARS)] | None = None
    event_attributes: EventAttributes | None = None
    object_id: OptionalId = Field(default=None, validation_alias=AliasChoices("object_id", "product_id"))
    items: Annotated[list[Item], Field(max_length=ITEMS)] = Field(default_factory=list)
    order_id: OptionalId = None

    def has_placeholder(self) -> bool:
        """Say whether an id of the interaction, or of a product in it, names nobody."""
        if not NOBODY.isdisjoint(_OWN_IDS(self)):
            return True
        attributes = self.event_attributes
        if attributes and attributes.object and attributes.object.object_id in NOBODY:
            return True
        return (
            any(not NOBODY.isdisjoint((item.object_id, item.query_id)) for item in self.items)
            if self.items
            else False
        )


class Erasure(_Envelope):
    """A request to forget a shopper: the topic ``erasures``. The shopper is named as its events name it.

    What happened up to ``timestamp`` is forgotten, also where it arrives later.
    """


class CleanSearch(StreamFact, frozen=True, tag_field="kind", tag="search"):
    """A search as the stream uses it.

    ``query`` is normalised; ``at_ms`` is event time in epoch milliseconds. ``placed`` are those of ``shown``
    that a rule put there.
    """

    kind: ClassVar[str] = "search"
    event_id: str
    shopper: str
    at_ms: int
    query_id: str
    query: str
    shown: list[str] = []
    session_id: str | None = None
    generation: int | None = None
    seal: str | None = None
    placed: list[str] = []


class Line(StreamFact, frozen=True):
    """One product of an interaction. ``revenue_minor`` is the line's whole value in minor units (cents)."""

    product_id: str
    units: int = 1
    revenue_minor: int = 0
    query_id: str | None = None


class CleanInteraction(StreamFact, frozen=True, tag_field="kind", tag="interaction"):
    """An interaction as the stream uses it. ``query`` is the normalised ``user_query`` it carried, if any."""

    kind: ClassVar[str] = "interaction"
    event_id: str
    shopper: str
    at_ms: int
    action: Action
    lines: list[Line]
    query_id: str | None = None
    query: str | None = None
    order_id: str | None = None
    session_id: str | None = None


class Tick(StreamFact, frozen=True, tag_field="kind", tag="tick"):
    """Event time that has been reached, for partitions on which nothing else arrives."""

    kind: ClassVar[str] = "tick"
    at_ms: int


class Forget(StreamFact, frozen=True, tag_field="kind", tag="forget"):
    """The shopper is to be forgotten: all that it has earned is taken back.

    What it did up to ``at_ms`` counts no more.
    """

    kind: ClassVar[str] = "forget"
    event_id: str
    shopper: str
    at_ms: int


CleanEvent = CleanSearch | CleanInteraction | Forget | Tick
_CLEAN_EVENT: msgspec.json.Decoder[CleanEvent] = msgspec.json.Decoder(CleanEvent)


def read_clean_event(raw: bytes) -> CleanEvent:
    """Parse one fact of ``events``, of whichever kind it says it is. Raises ``msgspec.DecodeError``."""
    try:
        return _CLEAN_EVENT.decode(raw)
    except DAMAGED as error:
        raise msgspec.DecodeError(str(error)) from error

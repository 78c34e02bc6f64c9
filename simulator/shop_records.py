"""A record as the shop sends it, together with the truth about it.

What intake must make of it, and which query really earned it. Bodies follow the raw topics of
``schemas.topics`` (UBI names), with the freedoms that real shops take: epoch timestamps, integer ids, foreign
action names. Nothing here sends.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from random import Random
from typing import Literal

from schemas.rejections import Reason
from schemas.text import normalise_query

Body = dict[str, object]


class Kind(StrEnum):
    """What a record is.

    Intake accepts the first group, ignores the second, and refuses the third, each for one reason.
    """

    CLEAN = "clean"
    TOMBSTONE = "tombstone"
    STALE_QUERY_ID = "stale_query_id"
    DUPLICATE = "duplicate"
    MOJIBAKE_TITLE = "mojibake_title"

    STALE_VERSION = "stale_version"

    BLANK_TITLE = "blank_title"
    PLACEHOLDER_TITLE = "placeholder_title"
    KEY_MISMATCH = "key_mismatch"
    BROKEN_JSON = "broken_json"
    INVALID_UTF8 = "invalid_utf8"
    NOT_OBJECT = "not_object"
    WRONG_TYPES = "wrong_types"
    UNSUPPORTED_VERSION = "unsupported_version"
    NAIVE_TIMESTAMP = "naive_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"
    TOO_OLD = "too_old"
    TOO_LARGE = "too_large"
    NO_IDENTITY = "no_identity"
    NO_PRODUCT = "no_product"
    UNKNOWN_PRODUCT = "unknown_product"
    DELETED_PRODUCT = "deleted_product"
    UNKNOWN_ACTION = "unknown_action"


@dataclass(frozen=True, kw_only=True, slots=True)
class LineTruth:
    """The search that really led to one product of an interaction.

    ``query`` is normalised, None for no search at all.
    """

    product_id: str
    query_id: str | None = None
    query: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """What is known about a record. ``reason`` None: intake does not refuse it.

    ``query`` is a search's, normalised; ``action``, ``order_id`` and ``lines`` are an interaction's;
    ``title`` is the clean title of a product whose own is damaged and can be repaired.
    """

    kind: Kind = Kind.CLEAN
    reason: Reason | None = None
    query: str | None = None
    action: str | None = None
    order_id: str | None = None
    lines: tuple[LineTruth, ...] = ()
    title: str | None = None

    @property
    def outcome(self) -> Literal["accepted", "ignored", "refused"]:
        """Return what intake must count the record as.

        It accepts duplicates of events: the stream drops them later.
        """
        if self.reason is not None:
            return "refused"
        return "ignored" if self.kind is Kind.STALE_VERSION else "accepted"


@dataclass(frozen=True, kw_only=True, slots=True)
class RawRecord:
    """One record for a raw topic, named without prefix. ``value`` None deletes.

    ``occurred_at`` is event time; ``arrives_at`` is when the broker gets it, later for a few: streams are in
    this order.
    """

    topic_name: str
    key: bytes | None
    value: bytes | None
    occurred_at: datetime
    arrives_at: datetime
    truth: Truth


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who acts: the ids that every event of a visit carries."""

    client_id: str
    session_id: str
    user_id: str | None = None


_ALIASES = {
    "click": "Product Clicked",
    "add_to_cart": "Product Added",
    "purchase": "Order Completed",
    "refund": "Order Refunded",
}


def search(
    who: Identity, at: datetime, *, query_id: str, query: str, shown: Sequence[str], rng: Random
) -> RawRecord:
    """Return a record for ``searches``; what was shown comes in one of UBI's two forms."""
    body = _envelope(who, at, rng)
    body |= {"query_id": query_id, "user_query": query}
    if rng.random() < 1 / 2:
        body["query_response_hit_ids"] = list(shown)
    else:
        body["hits"] = [{"object_id": object_id, "rank": rank} for rank, object_id in enumerate(shown, 1)]
    return record("searches", who.client_id, body, at, Truth(query=normalise_query(query)))


def engagement(
    who: Identity,
    at: datetime,
    action: str,
    line: LineTruth,
    *,
    query_id: str | None,
    ordinal: int | None,
    rng: Random,
    kind: Kind = Kind.CLEAN,
) -> RawRecord:
    """Return a record for ``interactions`` about one product.

    ``query_id`` is what the shop's page sends, right or not.
    """
    body = _envelope(who, at, rng)
    body["action_name"] = _ALIASES.get(action, action) if rng.random() < 0.04 else action
    what: Body = {
        "object": {
            "object_id": int(line.product_id)
            if line.product_id.isdigit() and rng.random() < 0.05
            else line.product_id
        }
    }
    if ordinal is not None:
        what["position"] = {"ordinal": ordinal}
    body["event_attributes"] = what
    if query_id is not None:
        body["query_id"] = query_id
    return record("interactions", who.client_id, body, at, Truth(kind=kind, action=action, lines=(line,)))


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedOrderLine:
    """One line of an order: its truth, and what the record says. ``unit_price`` is in EUR."""

    truth: LineTruth
    quantity: int
    unit_price: float
    query_id: str | None = None


def order(
    who: Identity,
    at: datetime,
    action: str,
    lines: Sequence[SimulatedOrderLine],
    *,
    order_id: str,
    rng: Random,
    query_id: str | None = None,
    kind: Kind = Kind.CLEAN,
) -> RawRecord:
    """Return a purchase or refund for ``interactions``, one item a line."""
    body = _envelope(who, at, rng)
    body["action_name"] = _ALIASES.get(action, action) if rng.random() < 0.04 else action
    body["order_id"] = order_id
    if query_id is not None:
        body["query_id"] = query_id
    body["items"] = [
        {
            "object_id": line.truth.product_id,
            "quantity": line.quantity,
            "unit_price": line.unit_price,
            "currency": "EUR",
        }
        | ({"query_id": line.query_id} if line.query_id else {})
        for line in lines
    ]
    truth = Truth(kind=kind, action=action, order_id=order_id, lines=tuple(line.truth for line in lines))
    return record("interactions", who.client_id, body, at, truth)


def record(topic_name: str, key: str, body: Mapping[str, object], at: datetime, truth: Truth) -> RawRecord:
    """Return the record of a JSON body that arrives when it occurred."""
    value = json.dumps(body, ensure_ascii=False).encode()
    return RawRecord(
        topic_name=topic_name, key=key.encode(), value=value, occurred_at=at, arrives_at=at, truth=truth
    )


def iso(at: datetime) -> str:
    """Return an aware time as ISO 8601 in milliseconds, with its zone."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _envelope(who: Identity, at: datetime, rng: Random) -> Body:
    form = rng.random()
    stamp: object = iso(at)
    if form < 0.05:
        stamp = int(at.timestamp() * 1000)
    elif form < 0.08:
        stamp = iso(at.astimezone(timezone(timedelta(hours=2))))
    body: Body = {
        "event_id": f"{rng.getrandbits(64):016x}",
        "timestamp": stamp,
        "application": "simulated-shop",
        "client_id": who.client_id,
        "session_id": who.session_id,
    }
    if who.user_id is not None:
        body["user_id"] = who.user_id
    return body

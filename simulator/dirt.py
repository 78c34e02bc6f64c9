"""What goes wrong between a shop and its events: records lost, late, twice, damaged.

Each with the outcome that intake must give. Dirty records are added beside the clean ones, as damaged copies,
so that what is learnt from the clean ones does not change.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from schemas.rejections import Reason
from schemas.text import clean_text
from simulator.shop_records import Body, Kind, RawRecord, Truth, iso

LOST = 0.01
LATE = 0.02
_LATEST = timedelta(minutes=40)
_TOO_LARGE_BYTES = 300_000

# (body, random source, the end of the simulated time) -> the damaged value
Damage = Callable[[Body, Random, datetime], bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dirt:
    """One way to damage a record of ``topic_name``, and the reason with which intake refuses it.

    A reason of None: intake does not.
    """

    kind: Kind
    topic_name: str
    reason: Reason | None
    damage: Damage


def transport(clean: Iterable[RawRecord], rng: Random) -> list[RawRecord]:
    """Return the records that arrive, in order of arrival.

    A few are lost, a few come up to 40 minutes late.
    """
    arrived = []
    for record in clean:
        fate = rng.random()
        if fate < LOST:
            continue
        if fate < LOST + LATE:
            late = timedelta(seconds=round(rng.uniform(10, _LATEST.total_seconds()), 3))
            arrived.append(replace(record, arrives_at=record.occurred_at + late))
        else:
            arrived.append(record)
    return sorted(arrived, key=lambda r: r.arrives_at)


def soil(
    records: Sequence[RawRecord], dirt: Sequence[Dirt], *, share: float, rng: Random, end: datetime
) -> list[RawRecord]:
    """Return ``records`` with ``share`` x as many dirty ones among them, in order of arrival.

    The kinds take turns, so each comes up about equally often; oversized ones once only. A kind whose topic
    is absent is left out.
    """
    by_topic: dict[str, list[RawRecord]] = {}
    for record in records:
        if record.value is not None and record.truth.outcome == "accepted":
            by_topic.setdefault(record.topic_name, []).append(record)
    usable = [d for d in dirt if by_topic.get(d.topic_name)]
    added: list[RawRecord] = []
    while usable and len(added) < round(share * len(records)):
        for kind in usable:
            base = rng.choice(by_topic[kind.topic_name])
            added.append(_damaged(base, kind, rng, end))
        usable = [d for d in usable if d.kind is not Kind.TOO_LARGE]
    return sorted([*records, *added], key=lambda r: r.arrives_at)


def _damaged(base: RawRecord, dirt: Dirt, rng: Random, end: datetime) -> RawRecord:
    body = json.loads(base.value or b"{}")
    at = base.arrives_at + timedelta(milliseconds=rng.randrange(1, 5000))
    if dirt.kind is Kind.DUPLICATE:
        return replace(base, arrives_at=at, truth=replace(base.truth, kind=Kind.DUPLICATE))
    if "event_id" in body:
        body["event_id"] = f"{rng.getrandbits(64):016x}"
    value = dirt.damage(body, rng, end)
    return replace(base, value=value, arrives_at=at, truth=Truth(kind=dirt.kind, reason=dirt.reason))


def mangle(text: str) -> str | None:
    """Return ``text`` as mojibake that cleaning repairs, or None where there is none.

    UTF-8 read as Windows-1252.
    """
    try:
        mangled = text.encode().decode("cp1252")
    except UnicodeDecodeError:
        return None
    return mangled if mangled != text and clean_text(mangled) == clean_text(text) else None


def _json(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _with(**fields: object) -> Damage:
    return lambda body, _rng, _end: _json(body | fields)


def _without(*names: str) -> Damage:
    return lambda body, _rng, _end: _json({k: v for k, v in body.items() if k not in names})


def _choice(field: str, *values: object) -> Damage:
    return lambda body, rng, _end: _json(body | {field: rng.choice(values)})


def _torn(body: Body, rng: Random, _end: datetime) -> bytes:
    value = _json(body)
    return rng.choice(
        (value[: rng.randrange(2, len(value) - 1)], value[:-1] + b",}", value.replace(b":", b"=", 1))
    )


def _not_utf8(body: Body, _rng: Random, _end: datetime) -> bytes:
    return _json(body | {"application": "caf"}).replace(b'"caf"', b'"caf\xe9"')


def _not_object(body: Body, rng: Random, _end: datetime) -> bytes:
    return rng.choice((_json([body]), b"42", b'"hello"', b"null", b"[]"))


def _naive(body: Body, _rng: Random, end: datetime) -> bytes:
    return _json(body | {"timestamp": iso(end - timedelta(hours=3)).removesuffix("Z")})


def _far_ahead(body: Body, _rng: Random, end: datetime) -> bytes:
    return _json(body | {"timestamp": iso(end + timedelta(days=3650))})


def _long_ago(body: Body, _rng: Random, end: datetime) -> bytes:
    return _json(body | {"timestamp": iso(end - timedelta(days=400))})


def _ghost(body: Body, rng: Random, _end: datetime) -> bytes:
    return _about(body, f"ghost-{rng.randrange(10_000)}")


def _about(body: Body, product_id: str) -> bytes:
    plain = {k: v for k, v in body.items() if k not in {"items", "order_id", "query_id"}}
    return _json(plain | {"action_name": "click", "event_attributes": {"object": {"object_id": product_id}}})


def clicks_on(product_ids: Sequence[str]) -> Dirt:
    """Return the dirt of clicks on products that the shop has deleted; ``product_ids`` must not be empty."""
    return Dirt(
        kind=Kind.DELETED_PRODUCT,
        topic_name="interactions",
        reason=Reason.UNKNOWN_PRODUCT,
        damage=lambda body, rng, _end: _about(body, rng.choice(product_ids)),
    )


def _both(kind: Kind, reason: Reason | None, damage: Damage) -> tuple[Dirt, Dirt]:
    return (
        Dirt(kind=kind, topic_name="searches", reason=reason, damage=damage),
        Dirt(kind=kind, topic_name="interactions", reason=reason, damage=damage),
    )


def _unused(_body: Body, _rng: Random, _end: datetime) -> bytes:
    raise AssertionError("a duplicate is copied as it is")


EVENT_DIRT: tuple[Dirt, ...] = (
    *_both(Kind.DUPLICATE, None, _unused),
    *_both(Kind.BROKEN_JSON, Reason.JSON_DECODE, _torn),
    *_both(Kind.INVALID_UTF8, Reason.UNDECODABLE_TEXT, _not_utf8),
    *_both(Kind.NOT_OBJECT, Reason.NOT_OBJECT, _not_object),
    *_both(Kind.NAIVE_TIMESTAMP, Reason.NAIVE_TIMESTAMP, _naive),
    *_both(Kind.FUTURE_TIMESTAMP, Reason.FUTURE_TIMESTAMP, _far_ahead),
    *_both(Kind.TOO_OLD, Reason.TOO_OLD, _long_ago),
    *_both(Kind.UNSUPPORTED_VERSION, Reason.UNSUPPORTED_VERSION, _with(schema_version=7)),
    Dirt(
        kind=Kind.TOO_LARGE,
        topic_name="searches",
        reason=Reason.TOO_LARGE,
        damage=_with(query_attributes={"debug": "x" * _TOO_LARGE_BYTES}),
    ),
    Dirt(
        kind=Kind.WRONG_TYPES,
        topic_name="searches",
        reason=Reason.SCHEMA,
        damage=_choice("user_query", 17, None, ["sofa"], {"q": "sofa"}),
    ),
    Dirt(
        kind=Kind.WRONG_TYPES,
        topic_name="interactions",
        reason=Reason.SCHEMA,
        damage=_choice("timestamp", "yesterday", True, {}, None),
    ),
    Dirt(kind=Kind.UNKNOWN_PRODUCT, topic_name="interactions", reason=Reason.UNKNOWN_PRODUCT, damage=_ghost),
    Dirt(
        kind=Kind.NO_IDENTITY,
        topic_name="interactions",
        reason=Reason.NO_IDENTITY,
        damage=_without("client_id", "session_id", "user_id", "query_id"),
    ),
    Dirt(
        kind=Kind.NO_PRODUCT,
        topic_name="interactions",
        reason=Reason.NO_PRODUCT,
        damage=_without("event_attributes", "items", "object_id"),
    ),
    Dirt(
        kind=Kind.UNKNOWN_ACTION,
        topic_name="interactions",
        reason=Reason.UNKNOWN_ACTION,
        damage=_choice("action_name", "teleport", "scrolled_past", "???"),
    ),
)

CATALOG_DIRT: tuple[Dirt, ...] = (
    Dirt(
        kind=Kind.BLANK_TITLE,
        topic_name="products",
        reason=Reason.BLANK_TEXT,
        damage=_choice("title", "", "   ", "\t\n", "<br/>"),
    ),
    Dirt(
        kind=Kind.PLACEHOLDER_TITLE,
        topic_name="products",
        reason=Reason.PLACEHOLDER_TEXT,
        damage=_choice("title", "N/A", "null", "-", "test", "TBD", "???"),
    ),
    Dirt(kind=Kind.BROKEN_JSON, topic_name="products", reason=Reason.JSON_DECODE, damage=_torn),
    Dirt(kind=Kind.NOT_OBJECT, topic_name="products", reason=Reason.NOT_OBJECT, damage=_not_object),
    Dirt(
        kind=Kind.WRONG_TYPES,
        topic_name="products",
        reason=Reason.SCHEMA,
        damage=_choice("price", "cheap", -5, [9.99]),
    ),
    Dirt(
        kind=Kind.KEY_MISMATCH,
        topic_name="products",
        reason=Reason.KEY_MISMATCH,
        damage=_choice("product_id", "sku-other", "wrong"),
    ),
    Dirt(
        kind=Kind.STALE_VERSION,
        topic_name="products",
        reason=None,
        damage=_with(version=0, title="An older title"),
    ),
    Dirt(kind=Kind.STALE_VERSION, topic_name="products", reason=None, damage=_with()),
    Dirt(kind=Kind.INVALID_UTF8, topic_name="products", reason=Reason.UNDECODABLE_TEXT, damage=_not_utf8),
)

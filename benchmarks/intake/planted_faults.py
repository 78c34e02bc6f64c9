"""The planted faults of ``benchmarks.validation``.

How a good record is damaged, and the one reason that must come of it. A fault takes a good record as the
simulated shop sends it and breaks one thing of it. ``at`` names the field that the refusal must point to;
None where the bytes as a whole are at fault. Every planting draws its own details from the random source.
"""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from benchmarks.intake.damage import (
    BAD_IDS,
    CONTROLLED,
    NOT_UTF8,
    Body,
    Fault,
    Plant,
    SentRecord,
    cut,
    literal,
    setting,
    stamped,
    structured,
    text_of,
    with_body,
    with_bytes,
    with_headers,
    without,
)
from benchmarks.intake.topic_faults import of_interactions, of_products, of_searches
from schemas.rejections import Reason
from simulator.shop_records import iso

_ROOTS = (b"[]", b"null", b"42", b"-1.5e3", b'"hello"', b"true", b"[[]]", b"false")
_NOT_JSON = (
    b"undefined",
    b"<event/>",
    b"{'a': 1}",
    b"{a: 1}",
    b"\x00\x00\x00\x00\x07{}",
    b"a,b,c\n1,2,3",
    b"{}{}",
    b" ",
    b"",
    b"{} // note",
)
_FAR = ("2999-01-01T00:00:00Z", "9998-12-31T23:59:59-14:00", 4102444800, 4102444800000)
_NO_YEAR = (
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "1899-12-31T00:00:00Z",
)


def _everywhere(topic: str) -> Iterator[Fault]:
    """Yield what can be wrong with the bytes and the envelope of any record."""

    def fault(name: str, reason: Reason, at: str | None, plant: Plant) -> Fault:
        return Fault(name, topic, reason, at, plant)

    yield fault("truncated", Reason.JSON_DECODE, None, with_bytes(cut))
    yield fault("not json", Reason.JSON_DECODE, None, with_bytes(lambda _, rng: rng.choice(_NOT_JSON)))
    yield fault("trailing comma", Reason.JSON_DECODE, None, with_bytes(lambda value, _: value[:-1] + b",}"))
    yield fault(
        "two bodies",
        Reason.JSON_DECODE,
        None,
        with_bytes(lambda value, rng: value + rng.choice((b"\n", b"", b",")) + value),
    )
    yield fault(
        "compressed", Reason.UNDECODABLE_TEXT, None, with_bytes(lambda value, _: gzip.compress(value))
    )
    yield fault(
        "utf-16", Reason.UNDECODABLE_TEXT, None, with_bytes(lambda value, _: value.decode().encode("utf-16"))
    )
    yield fault(
        "invalid utf-8",
        Reason.UNDECODABLE_TEXT,
        None,
        with_bytes(lambda v, rng: v[:-1] + b',"note":"' + rng.choice(NOT_UTF8) + b'"}'),
    )
    yield fault("lone surrogate", Reason.UNDECODABLE_TEXT, None, _lone_surrogate)
    yield fault(
        "not a number", Reason.JSON_DECODE, None, literal("note", b"NaN", b"Infinity", b"-Infinity", b"[NaN]")
    )
    yield fault("deep nesting", Reason.JSON_DECODE, None, _deep)
    yield fault("no object", Reason.NOT_OBJECT, None, with_bytes(lambda _, rng: rng.choice(_ROOTS)))
    yield fault("list of records", Reason.NOT_OBJECT, None, with_bytes(lambda value, _: b"[" + value + b"]"))
    yield fault(
        "five megabytes",
        Reason.TOO_LARGE,
        None,
        with_body(lambda body, _rng, _now: body | {"note": "x" * (5 << 20)}),
    )
    yield fault(
        "version",
        Reason.UNSUPPORTED_VERSION,
        "schema_version",
        setting("schema_version", 2, 7, "2.0", "v1", 0, -1, True),
    )
    yield fault(
        "envelope version",
        Reason.UNSUPPORTED_VERSION,
        "ce_specversion",
        lambda sent, _b, rng, _n: with_headers(sent, ce_specversion=rng.choice((b"0.3", b"2.0", b"\xff"))),
    )
    yield fault(
        "envelope without data",
        Reason.SCHEMA,
        "data",
        structured(lambda e, rng: e | {"data": rng.choice((None, [], "x", 1))}),
    )
    yield fault(
        "envelope torn",
        Reason.JSON_DECODE,
        None,
        lambda s, b, r, n: _torn(structured(lambda e, _: e)(s, b, r, n), r),
    )
    yield fault(
        "envelope id bytes",
        Reason.UNDECODABLE_TEXT,
        "ce_id",
        lambda s, _b, r, _n: with_headers(s, ce_id=r.choice(NOT_UTF8)),
    )


def _lone_surrogate(sent: SentRecord, body: Body, rng: Random, _now: datetime) -> SentRecord:
    half = rng.choice(("\\ud83d", "\\udc00", "\\ud83d\\ud83d"))
    return replace(
        sent, value=text_of(body | {rng.choice(_fields(body)): "@@"}).replace(b"@@", half.encode())
    )


def _fields(body: Body) -> list[str]:
    return [k for k, v in body.items() if isinstance(v, str)]


def _two_envelopes(sent: SentRecord, body: Body, rng: Random, now: datetime) -> SentRecord:
    made = structured(lambda envelope, _: envelope)(sent, body, rng, now)
    return replace(made, headers=(*made.headers, ("ce_id", b"%x" % rng.getrandbits(64))))


def _other_id(sent: SentRecord, body: Body, rng: Random, _now: datetime) -> SentRecord:
    return with_headers(
        replace(sent, value=text_of(body | {"event_id": "mine"})),
        ce_specversion=b"1.0",
        ce_id=b"%x" % rng.getrandbits(64),
    )


def _deep(sent: SentRecord, body: Body, rng: Random, _now: datetime) -> SentRecord:
    depth = rng.choice((250, 900, 1000, 3000, 20_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    nested = opening * depth + b"1" + closing * depth
    return replace(sent, value=text_of(body)[:-1] + b',"note":' + nested + b"}")


def _versioned(plant: Plant) -> Plant:
    """Damage a record that also names its version as text."""
    return lambda sent, body, rng, now: plant(
        sent, body | {"schema_version": rng.choice(("1", "1.0"))}, rng, now
    )


def _in_base64(*texts: object) -> Plant:
    return structured(
        lambda e, rng: {k: v for k, v in e.items() if k != "data"} | {"data_base64": rng.choice(texts)}
    )


def _bare(plant: Plant) -> Plant:
    """Leave the headers out."""
    return lambda sent, body, rng, now: replace(plant(sent, body, rng, now), headers=())


def _torn(sent: SentRecord, rng: Random) -> SentRecord:
    return replace(sent, value=cut(sent.value or b"", rng))


def _of_events(topic: str) -> Iterator[Fault]:
    """Yield what can be wrong with any event: its id, its time, its shopper."""

    def fault(name: str, reason: Reason, at: str | None, plant: Plant) -> Fault:
        return Fault(name, topic, reason, at, plant)

    yield fault("no value", Reason.NOT_OBJECT, None, with_bytes(lambda _value, _rng: None))
    yield fault("envelope conflict", Reason.ENVELOPE_CONFLICT, "event_id", _other_id)
    yield fault(
        "structured conflict",
        Reason.ENVELOPE_CONFLICT,
        "event_id",
        structured(lambda e, rng: e | {"id": f"{rng.random()}"}),
    )
    yield fault("two envelopes", Reason.ENVELOPE_CONFLICT, "ce_id", _two_envelopes)
    yield fault(
        "event id", Reason.SCHEMA, "event_id", setting("event_id", "x" * 101, *CONTROLLED, True, 1.5, [])
    )
    yield fault(
        "naive time",
        Reason.NAIVE_TIMESTAMP,
        "timestamp",
        stamped(lambda _, now: iso(now).removesuffix("Z").removesuffix("+00:00")),
    )
    yield fault("future time", Reason.FUTURE_TIMESTAMP, "timestamp", stamped(lambda rng, _: rng.choice(_FAR)))
    yield fault(
        "minutes ahead",
        Reason.FUTURE_TIMESTAMP,
        "timestamp",
        stamped(lambda rng, now: iso(now + timedelta(minutes=rng.uniform(6, 99)))),
    )
    yield fault(
        "old time",
        Reason.TOO_OLD,
        "timestamp",
        stamped(
            lambda rng, now: rng.choice(
                (0, -1, "1970-01-01T00:00:00Z", iso(now - timedelta(days=rng.uniform(30.1, 900))))
            )
        ),
    )
    garbage: tuple[object, ...] = (
        "",
        "yesterday",
        "2026-13-45T00:00:00Z",
        "12:00",
        "10/11/2026",
        True,
        None,
        {},
        [],
        "²",
        "9" * 30,
        10**40,
        "NaN",
        "undefined",
        -(10**40),
    )
    yield fault("garbage time", Reason.SCHEMA, "timestamp", setting("timestamp", *garbage))
    yield fault("no year of ours", Reason.SCHEMA, "timestamp", setting("timestamp", *_NO_YEAR))
    yield fault("no time", Reason.SCHEMA, "timestamp", without("timestamp"))
    yield fault(
        "client id", Reason.SCHEMA, "client_id", setting("client_id", *(v for v in BAD_IDS if v is not None))
    )
    yield fault(
        "endless id",
        Reason.SCHEMA,
        "client_id",
        literal("client_id", b"9" * 21, b"1" + b"0" * 2000, b"-" + b"9" * 30),
    )
    yield fault("surrogate beside version", Reason.UNDECODABLE_TEXT, None, _versioned(_lone_surrogate))
    yield fault("deep beside version", Reason.JSON_DECODE, None, _versioned(_deep))
    yield fault("envelope base64", Reason.SCHEMA, "data_base64", _in_base64("%%%", "e30", 7, []))
    yield fault("envelope garbage", Reason.JSON_DECODE, None, _in_base64("", "Zm9v", "ew=="))
    yield fault(
        "envelope text",
        Reason.SCHEMA,
        "data",
        structured(lambda e, rng: e | {"data": rng.choice(("", "hello", "[1]", "null"))}),
    )
    yield fault(
        "envelope by content",
        Reason.SCHEMA,
        "data",
        _bare(structured(lambda e, rng: e | {"data": rng.choice((None, [], 1))})),
    )
    yield fault(
        "envelope header",
        Reason.TOO_LARGE,
        "ce_id",
        lambda s, _b, r, _n: with_headers(s, ce_id=b"x" * r.randrange(1025, 5000)),
    )
    yield fault("controlled id", Reason.SCHEMA, "session_id", setting("session_id", *CONTROLLED))
    yield fault(
        "long id",
        Reason.SCHEMA,
        "user_id",
        with_body(lambda body, rng, _: body | {"user_id": "x" * rng.randrange(257, 5000)}),
    )
    yield fault("bot flag", Reason.SCHEMA, "is_bot", setting("is_bot", "perhaps", 7, [], {}))


FAULTS: tuple[Fault, ...] = (
    *(f for topic in ("searches", "interactions", "erasures", "products") for f in _everywhere(topic)),
    *(f for topic in ("searches", "interactions", "erasures") for f in _of_events(topic)),
    *of_searches(),
    *of_interactions(),
    *of_products(),
)

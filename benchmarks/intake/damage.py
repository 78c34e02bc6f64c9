"""How one thing of a good record is broken: what ``benchmarks.intake.planted_faults`` are made of.

Everything takes its details from the random source it is given. It does not know what intake says to any of
it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Any

from schemas.rejections import Reason

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SentRecord:
    """A record as it lies on a raw topic, without its place."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


# (the good record, its body, random source, now) -> the damaged record
Plant = Callable[[SentRecord, Body, Random, datetime], SentRecord]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of damage on one topic; ``action``: only to records of that action."""

    name: str
    topic: str
    reason: Reason
    at: str | None
    plant: Plant
    action: str | None = None


def text_of(body: object) -> bytes:
    """Return the JSON of a body as shops send it."""
    return json.dumps(body, ensure_ascii=False).encode()


NOT_UTF8 = (b"\xff", b"\xc3\x28", b"\xe2\x82", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"caf\xe9", b"\xc0\xaf")
CONTROLLED = ("a\tb", "a\nb", "\x00", "a\x1fb", "\x7f", "a\rb")
BAD_IDS: tuple[object, ...] = (True, False, None, 1.5, [], {"id": "x"}, ["x"])


def with_body(change: Callable[[Body, Random, datetime], object]) -> Plant:
    """Change the body."""
    return lambda sent, body, rng, now: replace(sent, value=text_of(change(body, rng, now)))


def with_bytes(change: Callable[[bytes, Random], bytes | None]) -> Plant:
    """Change the bytes."""
    return lambda sent, _body, rng, _now: replace(sent, value=change(sent.value or b"", rng))


def setting(field: str, *values: object) -> Plant:
    """Put one of the values into a field."""
    return with_body(lambda body, rng, _: body | {field: rng.choice(values)})


def without(*fields: str) -> Plant:
    """Leave fields out."""
    return with_body(lambda body, _rng, _now: {k: v for k, v in body.items() if k not in fields})


def stamped(make: Callable[[Random, datetime], object]) -> Plant:
    """Put another time into the record."""
    return with_body(lambda body, rng, now: body | {"timestamp": make(rng, now)})


def first_item(field: str, *values: object) -> Plant:
    """Put one of the values into a field of the first item."""

    def change(body: Body, rng: Random, _now: datetime) -> Body:
        items = [dict(item) for item in body["items"]]
        items[0][field] = rng.choice(values)
        return body | {"items": items}

    return with_body(change)


def literal(field: str, *literals: bytes) -> Plant:
    """Put a literal that ``json.dumps`` would not write."""
    return lambda sent, body, rng, _: replace(
        sent, value=text_of(body | {field: "@@"}).replace(b'"@@"', rng.choice(literals))
    )


def with_headers(sent: SentRecord, **headers: bytes) -> SentRecord:
    """Return the record with these headers; two underscores stand for a dash."""
    return replace(sent, headers=tuple((k.replace("__", "-"), v) for k, v in headers.items()))


def structured(change: Callable[[Body, Random], object]) -> Plant:
    """Put a CloudEvents envelope around the body, and change it."""

    def plant(sent: SentRecord, body: Body, rng: Random, _now: datetime) -> SentRecord:
        envelope = {
            "specversion": "1.0",
            "id": body.get("event_id", "e1"),
            "source": "/shop",
            "type": "event",
            "data": body,
        }
        return with_headers(
            replace(sent, value=text_of(change(envelope, rng))),
            content__type=b"application/cloudevents+json; charset=utf-8",
        )

    return plant


def cut(value: bytes, rng: Random) -> bytes:
    """Return a true beginning of the bytes, not ending within a character: that is another fault."""
    end = rng.randrange(1, len(value))
    while value[end] & 0xC0 == 0x80:
        end -= 1
    return value[: max(1, end)]

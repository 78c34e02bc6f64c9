"""Records as nobody should send them.

A message of each topic, hurt in its bytes, its fields, its key, its headers or its time. Deterministic by its
random numbers. Some stay valid; none may end a process.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from broker.records import Headers
from schemas.topics import (
    DEPLOYMENT_COMMANDS,
    ERASURES,
    INTERACTIONS,
    PRODUCTS,
    RULES,
    SEARCH_REQUESTS,
    SEARCHES,
    TRAINING_TRIGGERS,
)

Body = dict[str, Any]
# Half a surrogate pair as JSON writes it; put in behind the encoding, since no encoder makes one.
_HALF = "@half@"
_ODD: tuple[Any, ...] = (
    None, "", " ", "null", "NaN", True, False, 0, -1, 0.5, 12345.0, 1e308, 10**30, 2**63, -(2**63), "\u0000",
    "a\u200db", "\ufeff", _HALF, "../" * 90, "x" * 300, "x" * 70_000, "\U0001f469\u200d\U0001f467", [], {},
    [None], [[]] * 40, {"": {}}, {"a": {"b": [1, None, _HALF]}}, "2026-13-40T25:61:61Z",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "9" * 5000,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Strange:
    """A record to send; ``topic`` is a short name. Header names are the bytes that are sent."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[bytes, bytes | None], ...]
    timestamp_ms: int | None


def bodies(now_ms: int) -> dict[str, Body]:
    """Return a message of each open topic, good but for what could start a run or move a pointer."""
    who = {"client_id": "fuzz", "timestamp": now_ms}
    return {
        SEARCHES.name: {
            **who,
            "query_id": "q",
            "user_query": "red mug",
            "query_response_hit_ids": ["p1"],
            "schema_version": 1,
        },
        INTERACTIONS.name: {
            **who,
            "query_id": "q",
            "action_name": "click",
            "object_id": "fuzz-1",
            "items": None,
        },
        ERASURES.name: {**who, "event_id": "e"},
        PRODUCTS.name: {
            "product_id": "fuzz-1",
            "title": "Red mug",
            "price": 3.5,
            "attributes": {"a": 1},
            "variant_ids": ["v"],
            "version": 1,
        },
        TRAINING_TRIGGERS.name: {
            "trigger_id": "fuzz",
            "requested_by": "fuzz",
            "requested_at": now_ms,
            "cancels": "no-run",
            "dry_run": True,
        },
        DEPLOYMENT_COMMANDS.name: {
            "command_id": "fuzz",
            "action": "promote",
            "run_id": "../..",
            "reason": "fuzz",
            "actor": "fuzz",
        },
        RULES.name: {
            "rule_id": "fuzz",
            "action": "boost",
            "boost": 0.5,
            "query": "red mug",
            "product_ids": ["p1"],
            "filters": [{"field": "brand", "op": "eq", "value": "a"}],
            "since": now_ms,
            "until": None,
        },
        SEARCH_REQUESTS.name: {
            "request_id": "fuzz",
            "user_query": "red mug",
            "k": 5,
            "filters": {"brand": "a"},
            "timeout_ms": 3000,
        },
    }


def strange(topic: str, body: Body, rng: Random, now_ms: int) -> Strange:
    """Return one record of a topic."""
    value = _value(body, rng)
    named = str(body.get("product_id", body.get("rule_id", "k"))).encode()
    key: bytes | None = (
        named
        if rng.random() < 0.7
        else rng.choice((None, b"", b"\xff\xfe", named * 2000, rng.randbytes(8), b"\x00claim"))
    )
    headers = tuple(_header(rng) for _ in range(rng.choice((0, 0, 0, 1, 3, 40))))
    time = now_ms if rng.random() < 0.8 else rng.choice((0, 1, now_ms - 10**10, now_ms + 3_000_000, None))
    return Strange(topic, key, value, headers, time)


def _value(body: Body, rng: Random) -> bytes | None:
    hurt: tuple[Callable[[], bytes | None], ...] = (
        lambda: None,
        lambda: b"",
        lambda: rng.randbytes(rng.randrange(200)),
        lambda: _text(body)[: rng.randrange(120)],
        lambda: _text(body).decode().encode("utf-16"),
        lambda: b"\xef\xbb\xbf" + _text(body),
        lambda: _text(body).replace(b"fuzz", b"f\xffz"),
        lambda: b"[" * rng.choice((300, 5000, 100_000)),
        lambda: b'{"a":' * 3000 + _text(body) + b"}" * 3000,
        lambda: _text(body | {"deep": json.loads("[" * 200 + "]" * 200)}),
        lambda: _text([body, body]),
        lambda: _text({"specversion": rng.choice(("1.0", 1)), "id": rng.choice(_ODD), "type": "x.gone",
                       "data": rng.choice((body, "{"))}),
        lambda: _text(body)[:-1] + b"," + b'"x":' + b"9" * 6000 + b"}",
        lambda: (_text(body | {"filler": "x" * rng.choice((200_000, 300_000, 1_500_000))})
                 if rng.random() < 0.1 else b"{}"),
    )  # fmt: skip
    if rng.random() < 0.4:
        return rng.choice(hurt)()
    changed = dict(body)
    for _ in range(rng.randrange(1, 4)):
        changed[
            rng.choice([*body, "event_id", "user_id", "action_name", "deleted", "schema_version", "unknown"])
        ] = rng.choice(_ODD)
    return _text(changed)


def _text(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False).replace(_HALF, "\\ud83d").encode()


def _header(rng: Random) -> tuple[bytes, bytes | None]:
    names = (
        b"content-type", b"ce_id", b"ce_time", b"ce_type", b"ce_specversion", b"kafka_replyTopic",
        b"kafka_replyPartition", b"kafka_correlationId", b"dlq.origin", b"dlq.replayed",
        b"__connect.errors.topic", b"traceparent", b"", b"\xff\xfe", b"\xed\xa0\x80", b"n" * 3000,
    )  # fmt: skip
    values = (
        None,
        b"",
        b"1",
        b"9" * 5000,
        b"\xff",
        b"application/cloudevents+json",
        b"searches/0/1",
        b"abc",
        b"x" * 20_000,
        rng.randbytes(4),
    )
    return rng.choice(names), rng.choice(values)


def readable(headers: tuple[tuple[bytes, bytes | None], ...]) -> Headers:
    """Return headers as a consumer of ours sees them."""
    return tuple((name.decode(errors="backslashreplace"), value) for name, value in headers)

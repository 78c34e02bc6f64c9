"""Attacks of one record: each ended a process at every start, and none may.

As data; ``benchmarks.attack`` sends them. The bytes are those of clients that are broken or hostile: header
names and values of any kind, keys and values that are missing, half a surrogate, deep nesting, records as
large as the broker takes, ids and paths and times beyond every bound.
"""

import json
import struct
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.attacks.target import AttackRecord, an_event
from benchmarks.intake.odd_names import OddName
from broker.records import TOPIC_BYTES
from schemas.image_field import base64_of
from schemas.search import CORRELATION_ID, REPLY_PARTITION

LARGE = TOPIC_BYTES - 400
_DEEP = b"[" * 100_000
_HALF = b'"\\ud800"'


@dataclass(frozen=True)
class Poison:
    """``before``: what it did at commit 2db2691. ``process`` is the one that it ended."""

    name: str
    process: str
    records: Callable[[], list[AttackRecord]]
    before: str


def _one(topic: str, value: bytes | None, **fields: object) -> Callable[[], list[AttackRecord]]:
    return lambda: [AttackRecord(topic=topic, value=value, **fields)]  # type: ignore[arg-type]


def _request(**fields: object) -> bytes:
    return json.dumps({"request_id": uuid.uuid4().hex, "user_query": "jacket", **fields}).encode()


def _png(width: int, height: int) -> bytes:
    """Return a PNG that says its size, and holds no pixel."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)), (b"IDAT", zlib.compress(b"")))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (*chunks, (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + body


def _trigger(**fields: object) -> bytes:
    return json.dumps(
        {"trigger_id": uuid.uuid4().hex, "requested_at": datetime.now(UTC).isoformat(), **fields}
    ).encode()


def _command(**fields: object) -> bytes:
    return json.dumps({"command_id": uuid.uuid4().hex, "action": "promote", **fields}).encode()


def _fat_shopper() -> list[AttackRecord]:
    """Valid searches of one client, each with 200 products of the longest ids."""
    ids = [f"{n:03d}" + "x" * 253 for n in range(200)]
    return [
        AttackRecord(
            topic="searches",
            value=an_event(
                f"fat-{uuid.uuid4().hex}",
                client_id="fat",
                query_response_hit_ids=[f"{n}{i}"[:256] for i in ids],
            ),
            key=b"fat",
        )
        for n in range(46)
    ]


def _everywhere(topic: str, process: str, before: str) -> Iterator[Poison]:
    """Yield what any topic that others write may hold."""
    if topic != "products":  # compacted: Kafka itself takes no record without a key
        yield Poison(f"{topic}: no key and no value", process, _one(topic, None, key=None), before)
    yield Poison(
        f"{topic}: a header without value", process, _one(topic, b"{", headers=(("h", None),)), before
    )
    odd = ((OddName(b"\xff\xfe"), b"1"),)
    yield Poison(f"{topic}: a header name of no text", process, _one(topic, b"{", headers=odd), before)
    yield Poison(
        f"{topic}: half a surrogate",
        process,
        _one(topic, b'{"schema_version":"1","query_id":' + _HALF + b"}"),
        before,
    )
    yield Poison(f"{topic}: nested 100,000 deep", process, _one(topic, _DEEP), before)
    deep = b'{"schema_version":"1","a":' + b"[" * 300 + b"]" * 300 + b"}"
    yield Poison(f"{topic}: nested 300 deep", process, _one(topic, deep), before)
    yield Poison(f"{topic}: 8 MB of garbage", process, _one(topic, b"x" * LARGE), before)


_ENDED = "the process ended, at every start"
_NOT_TRIED = "not tried alone"
_NEW = "there was none"

POISON: tuple[Poison, ...] = (
    *(
        p
        for topic in ("searches", "interactions", "products", "erasures")
        for p in _everywhere(topic, "stream", _ENDED)
    ),
    *_everywhere("search-requests", "searcher", _ENDED),
    *_everywhere("training-triggers", "trainer", _ENDED),
    *_everywhere("deployment-commands", "indexer", _ENDED),
    Poison(
        "A2 a request id of half a surrogate",
        "searcher",
        _one("search-requests", b'{"request_id":' + _HALF + b"}"),
        "3 ends in 92 s",
    ),
    Poison(
        "A3 a reply partition of 5,000 digits",
        "searcher",
        lambda: [
            AttackRecord(topic="search-requests", value=_request(), headers=((REPLY_PARTITION, b"9" * 5000),))
        ],
        "1 end in 50 s, 0 of 7 honest searches answered",
    ),
    Poison(
        "A4 a correlation id of 8 MB",
        "searcher",
        lambda: [
            AttackRecord(topic="search-requests", value=_request(), headers=((CORRELATION_ID, b"c" * LARGE),))
        ],
        "1 end in 50 s, 0 of 7 honest searches answered",
    ),
    *(
        Poison(
            f"a picture to search by: {name}", "searcher", _one("search-requests", _request(image=said)), _NEW
        )
        for name, said in (
            ("no base64", "*" * 1000),
            ("an address", "https://shop.example/a.jpg"),
            ("1x1", base64_of(_png(1, 1))),
            ("a bomb of 30,000 x 30,000", base64_of(_png(30_000, 30_000))),
            ("half a GIF", base64_of(b"GIF89a" + bytes(500))),
            ("7 MB of base64", "A" * 7_000_000),
        )
    ),
    Poison("A8 a shopper too large for a record", "stream", _fat_shopper, "6 ends in 100 s"),
    Poison(
        "A9 a product id of 2,000 digits",
        "indexer",
        lambda: [
            AttackRecord(
                topic="products",
                value=b'{"product_id":' + b"1" * 2000 + b',"title":"A jacket"}',
                key=b"1" * 2000,
            )
        ],
        "2 ends in 77 s, the catalogue frozen",
    ),
    Poison(
        "A10 a trigger that cancels 256 characters",
        "trainer",
        lambda: [AttackRecord(topic="training-triggers", value=_trigger(cancels="x" * 256))],
        "7 ends in 60 s",
    ),
    Poison(
        "A10 a trigger that cancels a path",
        "trainer",
        lambda: [AttackRecord(topic="training-triggers", value=_trigger(cancels="../runtime.json"))],
        "6 ends in 46 s",
    ),
    Poison(
        "A12 a command of the year 1",
        "indexer",
        lambda: [
            AttackRecord(
                topic="deployment-commands",
                value=_command(at="0001-01-01T00:00:00+14:00", force=True, reason="x"),
            )
        ],
        "2 ends in 61 s",
    ),
    Poison(
        "an event of the year 1",
        "stream",
        lambda: [AttackRecord(topic="searches", value=an_event("y1", timestamp="0001-01-01T00:00:00+14:00"))],
        _NOT_TRIED,
    ),
)

"""The faults that only one topic can have.

What searches, interactions and products say wrongly about themselves.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from random import Random

from benchmarks.intake.damage import (
    BAD_IDS,
    CONTROLLED,
    NOT_UTF8,
    Body,
    Fault,
    Plant,
    SentRecord,
    first_item,
    literal,
    setting,
    text_of,
    with_body,
    without,
)
from schemas.absent import PROGRAM_WORDS as _WORDS
from schemas.rejections import Reason

PROGRAM_WORDS = sorted(_WORDS)


def of_searches() -> Iterator[Fault]:
    """Yield what only searches can say wrongly."""

    def fault(name: str, reason: Reason, at: str | None, plant: Plant) -> Fault:
        return Fault(name, "searches", reason, at, plant)

    hits = "query_response_hit_ids"
    yield fault("no query id", Reason.SCHEMA, "query_id", without("query_id"))
    yield fault(
        "query id", Reason.SCHEMA, "query_id", setting("query_id", "", " ", *CONTROLLED, *BAD_IDS, "x" * 257)
    )
    yield fault("no query", Reason.SCHEMA, "user_query", without("user_query"))
    yield fault(
        "query type",
        Reason.SCHEMA,
        "user_query",
        setting("user_query", 17, None, ["sofa"], {"q": "sofa"}, True),
    )
    yield fault("query length", Reason.SCHEMA, "user_query", setting("user_query", "sofa " * 300))
    yield fault(
        "blank query",
        Reason.BLANK_TEXT,
        "user_query",
        setting("user_query", "", "  ", "\t\n", "\u00a0", "\x00\x01", "&nbsp;"),
    )
    yield fault(
        "html query", Reason.BLANK_TEXT, "user_query", setting("user_query", "<br/>", "<b></b>", "&lt;p&gt;")
    )
    yield fault(
        "invisible query",
        Reason.BLANK_TEXT,
        "user_query",
        setting("user_query", "\u200b", "\u200d\u2060", "\ufeff", "\u3164", "\u00ad"),
    )
    yield fault(
        "hit ids",
        Reason.SCHEMA,
        hits,
        setting(hits, "p1", {"a": 1}, [True], [None], [[]], [1.5], [""], ["a\tb"]),
    )
    yield fault(
        "heavy hits",
        Reason.SCHEMA,
        hits,
        with_body(lambda body, _r, _n: body | {"hits": [], hits: [f"{n:0256d}" for n in range(200)]}),
    )
    yield fault(
        "query of a program",
        Reason.PLACEHOLDER_TEXT,
        "user_query",
        setting("user_query", *PROGRAM_WORDS, " null "),
    )
    yield fault("query id of nobody", Reason.SCHEMA, "query_id", setting("query_id", *PROGRAM_WORDS))
    yield fault(
        "far rank", Reason.SCHEMA, "hits.0.rank", setting("hits", [{"object_id": "p", "rank": 2**31}])
    )
    yield fault("hit count", Reason.SCHEMA, hits, setting(hits, [f"p{n}" for n in range(201)]))
    yield fault(
        "hit rank",
        Reason.SCHEMA,
        "hits",
        setting("hits", [{"object_id": "p", "rank": 0}], [{"object_id": "p"}], [{"rank": 1}], "p", [7]),
    )


def of_interactions() -> Iterator[Fault]:
    """Yield what only interactions can say wrongly."""

    def fault(name: str, reason: Reason, at: str | None, plant: Plant, action: str | None = None) -> Fault:
        return Fault(name, "interactions", reason, at, plant, action)

    ids = ("client_id", "session_id", "user_id", "query_id")
    yield fault("no identity", Reason.NO_IDENTITY, None, without(*ids))
    yield fault(
        "null identity", Reason.NO_IDENTITY, None, with_body(lambda body, _r, _n: body | dict.fromkeys(ids))
    )
    nobody = with_body(
        lambda body, rng, _: body | {name: rng.choice((*PROGRAM_WORDS, "", " ")) for name in ids}
    )
    yield fault("nobody", Reason.NO_IDENTITY, None, nobody)
    yield fault(
        "product of nobody",
        Reason.SCHEMA,
        "items.0.object_id",
        first_item("object_id", *PROGRAM_WORDS),
        "purchase",
    )
    yield fault("thing of nobody", Reason.SCHEMA, "event_attributes", _thing(*PROGRAM_WORDS), "click")
    yield fault("no product", Reason.NO_PRODUCT, None, without("event_attributes", "items", "object_id"))
    yield fault("no items", Reason.NO_PRODUCT, None, setting("items", []), "purchase")
    yield fault(
        "unknown action",
        Reason.UNKNOWN_ACTION,
        "action_name",
        setting("action_name", "teleport", "CLICK!", "scroll", "buy now", "?"),
    )
    yield fault(
        "action type", Reason.SCHEMA, "action_name", setting("action_name", 3, None, "", [], "x" * 101, True)
    )
    yield fault("no action", Reason.SCHEMA, "action_name", without("action_name"))
    yield fault(
        "object id",
        Reason.SCHEMA,
        "event_attributes",
        setting("event_attributes", *({"object": {"object_id": v}} for v in (*BAD_IDS, ""))),
    )
    yield fault(
        "attributes",
        Reason.SCHEMA,
        "event_attributes",
        setting("event_attributes", 1, "p1", [], {"object": "p1"}, {"object": {}}),
    )
    yield fault("position", Reason.SCHEMA, "event_attributes", _ordinal, "click")
    ghosts = with_body(
        lambda body, rng, _: (
            body | {"event_attributes": {"object": {"object_id": f"ghost-{rng.randrange(999)}"}}}
        )
    )
    yield fault("unknown product", Reason.UNKNOWN_PRODUCT, None, ghosts, "click")
    yield fault(
        "negative quantity", Reason.SCHEMA, "items.0.quantity", first_item("quantity", -1, -100), "purchase"
    )
    yield fault("zero quantity", Reason.SCHEMA, "items.0.quantity", first_item("quantity", 0), "purchase")
    yield fault(
        "huge quantity",
        Reason.SCHEMA,
        "items.0.quantity",
        first_item("quantity", 100_001, 10**9, 10**30),
        "purchase",
    )
    yield fault(
        "quantity type",
        Reason.SCHEMA,
        "items.0.quantity",
        first_item("quantity", 1.5, "many", [], True),
        "purchase",
    )
    yield fault(
        "negative price",
        Reason.SCHEMA,
        "items.0.unit_price",
        first_item("unit_price", -0.01, -5, -1e300),
        "purchase",
    )
    yield fault(
        "huge price",
        Reason.SCHEMA,
        "items.0.unit_price",
        first_item("unit_price", 1e10, 1e300, 10**40),
        "purchase",
    )
    yield fault(
        "price type",
        Reason.SCHEMA,
        "items.0.unit_price",
        first_item("unit_price", "cheap", "NaN", "inf", "9,99", [], True),
        "purchase",
    )
    yield fault("line value", Reason.SCHEMA, "items.0.unit_price", _dear, "purchase")
    yield fault("heavy items", Reason.SCHEMA, "items", setting("items", _HEAVY), "purchase")
    yield fault("endless price", Reason.SCHEMA, "items.0.unit_price", _endless, "purchase")
    yield fault(
        "currency",
        Reason.SCHEMA,
        "items.0.currency",
        first_item("currency", "EURO", "eur", "€", "E1R", 978),
        "purchase",
    )
    yield fault(
        "item id",
        Reason.SCHEMA,
        "items.0.object_id",
        first_item("object_id", *BAD_IDS, "", "a\nb"),
        "purchase",
    )
    yield fault(
        "item query id",
        Reason.SCHEMA,
        "items.0.query_id",
        first_item("query_id", True, 1.5, "x" * 257),
        "purchase",
    )
    yield fault(
        "items type", Reason.SCHEMA, "items", setting("items", {}, "p1", [1], [None], [["p1"]]), "purchase"
    )
    yield fault(
        "item count",
        Reason.SCHEMA,
        "items",
        setting("items", [{"object_id": f"p{n}"} for n in range(501)]),
        "purchase",
    )
    yield fault(
        "order id", Reason.SCHEMA, "order_id", setting("order_id", True, "a\x1fb", 1.5, "x" * 257), "purchase"
    )
    yield fault(
        "refund of nobody's order",
        Reason.SCHEMA,
        "order_id",
        setting("order_id", *PROGRAM_WORDS, "", None),
        "refund",
    )
    yield fault("null items", Reason.NO_PRODUCT, None, setting("items", None), "purchase")
    yield fault("refund of nothing", Reason.SCHEMA, "order_id", without("order_id"), "refund")


def _ordinal(sent: SentRecord, body: Body, rng: Random, _now: datetime) -> SentRecord:
    what = body["event_attributes"] | {"position": {"ordinal": rng.choice((-1, 1.5, "first", []))}}
    return replace(sent, value=text_of(body | {"event_attributes": what}))


def _thing(*ids: str) -> Plant:
    return with_body(
        lambda body, rng, _: body | {"event_attributes": {"object": {"object_id": rng.choice(ids)}}}
    )


def _dear(sent: SentRecord, body: Body, rng: Random, _now: datetime) -> SentRecord:
    first = body["items"][0] | {"unit_price": rng.choice((1e9, 5e8)), "quantity": rng.choice((1000, 100_000))}
    return replace(sent, value=text_of(body | {"items": [first, *body["items"][1:]]}))


_HEAVY = [{"object_id": f"{n:0200d}"} for n in range(400)]


def _endless(sent: SentRecord, body: Body, rng: Random, now: datetime) -> SentRecord:
    made = first_item("unit_price", "@@")(sent, body, rng, now)
    return replace(
        made, value=(made.value or b"").replace(b'"@@"', rng.choice((b"1e999", b"-1e999", b"1e400")))
    )


_NO_IDS = (b"x" * 257, b"a\tb", b" ", b"a\n", b"undefined", b"\x00")


def of_products() -> Iterator[Fault]:
    """Yield what only products can say wrongly."""

    def fault(name: str, reason: Reason, at: str | None, plant: Plant) -> Fault:
        return Fault(name, "products", reason, at, plant)

    blank, placeholder = Reason.BLANK_TEXT, Reason.PLACEHOLDER_TEXT
    yield fault(
        "key of another",
        Reason.KEY_MISMATCH,
        "product_id",
        lambda s, _b, r, _n: replace(s, key=b"other-%d" % r.randrange(99)),
    )
    yield fault("no key", Reason.KEY_MISMATCH, "product_id", lambda s, _b, _r, _n: replace(s, key=None))
    yield fault(
        "key bytes", Reason.UNDECODABLE_TEXT, "key", lambda s, _b, r, _n: replace(s, key=r.choice(NOT_UTF8))
    )
    yield fault(
        "tombstone of nothing",
        Reason.KEY_MISMATCH,
        "key",
        lambda s, _b, r, _n: replace(s, key=r.choice((None, b"")), value=None),
    )
    yield fault(
        "tombstone of no id",
        Reason.KEY_MISMATCH,
        "key",
        lambda s, _b, r, _n: replace(s, key=r.choice(_NO_IDS), value=None),
    )
    yield fault(
        "deletion of another",
        Reason.KEY_MISMATCH,
        "product_id",
        with_body(lambda _b, r, _n: {"product_id": f"x{r.random()}", "deleted": True}),
    )
    yield fault(
        "deletion of nothing",
        Reason.SCHEMA,
        "product_id",
        with_body(lambda _b, r, _n: {"product_id": r.choice(BAD_IDS), "deleted": True}),
    )
    yield fault(
        "product id",
        Reason.SCHEMA,
        "product_id",
        setting("product_id", *BAD_IDS, "", " ", *CONTROLLED, "x" * 257),
    )
    yield fault("id of nobody", Reason.SCHEMA, "product_id", setting("product_id", *PROGRAM_WORDS))
    yield fault(
        "heavy attributes",
        Reason.SCHEMA,
        "attributes",
        setting("attributes", {"a": "x" * 70_000}, {"a": ["y" * 999] * 70}),
    )
    yield fault("no title", Reason.SCHEMA, "title", without("title"))
    yield fault("title type", Reason.SCHEMA, "title", setting("title", 7, None, ["Mug"], {"en": "Mug"}, True))
    yield fault("title length", Reason.SCHEMA, "title", setting("title", "Mug " * 501))
    yield fault(
        "blank title",
        blank,
        "title",
        setting("title", "", "   ", "\t\n", "\u00a0\u3000", "&nbsp;", "\x00", "\ue000"),
    )
    yield fault(
        "html title",
        blank,
        "title",
        setting("title", "<br/>", "<p></p>", "&lt;b&gt;&lt;/b&gt;", "<img src='x.png'>"),
    )
    yield fault(
        "invisible title",
        blank,
        "title",
        setting("title", "\u200b\u200b", "\ufeff", "\u2060 \u200d", "\u3164", "\u2800", "\u00ad"),
    )
    yield fault(
        "placeholder title",
        placeholder,
        "title",
        setting("title", "N/A", "null", "-", "TBD", "???", "undefined", "<b>n/a</b>", "..."),
    )
    yield fault("negative price", Reason.SCHEMA, "price", setting("price", -0.01, -99))
    yield fault("huge price", Reason.SCHEMA, "price", setting("price", 1e10, 10**40))
    yield fault(
        "price type", Reason.SCHEMA, "price", setting("price", "cheap", [9.99], {}, True, "NaN", "9,99 EUR")
    )
    yield fault("endless price", Reason.SCHEMA, "price", literal("price", b"1e999", b"-1e999"))
    yield fault("currency", Reason.SCHEMA, "currency", setting("currency", "EURO", "usd", "$", 840))
    yield fault(
        "categories",
        Reason.SCHEMA,
        "category_path",
        setting("category_path", "Home > Lamps", [1], [None], ["x"] * 21, {}),
    )
    yield fault(
        "attributes",
        Reason.SCHEMA,
        "attributes",
        setting("attributes", [], "red", {"c": {"d": 1}}, {"c": [1]}),
    )
    yield fault(
        "variants",
        Reason.SCHEMA,
        "variant_ids",
        setting("variant_ids", "v1", [True], [""], [f"v{n}" for n in range(501)], {}),
    )
    yield fault(
        "stock version", Reason.SCHEMA, "version", setting("version", -1, 1.5, "new", True, 2**63, 10**30, [])
    )
    yield fault(
        "picture",
        Reason.SCHEMA,
        "image",
        setting("image", "http://x/y.png", {}, {"uri": 3}, {"uri": "x", "sha256": "0"}),
    )

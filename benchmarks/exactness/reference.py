"""The pairs that a shop's records must add up to.

A batch over all facts, in plain Python per shopper and Polars for the sums. Written from docs/adr/0002 and
the rules' docstrings, apart from the stream: no state, no order, no differences, nothing forgotten. It knows
which records are good from the simulator's truth, not from validation. Only text normalisation
(``schemas.text``) is shared.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

import polars as pl

from schemas.text import normalise_query
from simulator.shop_records import RawRecord

MINUTE = 60_000
MOST_IN_A_MINUTE = 60  # touches of a person; none of a minute with more earns, nor leads to a purchase
SKEW, CLICK, SESSION, PURCHASE = 5 * MINUTE, 60 * MINUTE, 30 * MINUTE, 7 * 24 * 60 * MINUTE
NAMES = {
    "Product Clicked": "click",
    "Product Added": "add_to_cart",
    "Order Completed": "purchase",
    "Order Refunded": "refund",
}
Rows = dict[tuple[str, str], dict[int, dict[str, tuple[int, int, int]]]]
Clients = dict[tuple[str, str], dict[str, int]]


class ReferenceSearch(NamedTuple):
    """The earliest record of a query_id, with all that any of them showed, and what any rule placed."""

    at: int
    event_id: str
    query: str
    session: str | None
    shown: frozenset[str]
    placed: frozenset[str]


class ReferenceTouch(NamedTuple):
    """The earliest of the repeats of a touch; ``last`` is the time of the latest."""

    at: int
    event_id: str
    action: str
    query_id: str | None
    session: str | None
    last: int


class ReferenceOrderLine(NamedTuple):
    """A line of an order."""

    at: int
    event_id: str
    units: int
    revenue: int
    query_ids: tuple[str, ...]
    session: str | None


@dataclass
class Facts:
    """All of one shopper.

    Touches by product and key, order lines by product and (order, number), refunded units once per event
    line.
    """

    searches: dict[str, ReferenceSearch] = field(default_factory=dict)
    touches: dict[str, dict[str, ReferenceTouch]] = field(default_factory=lambda: defaultdict(dict))
    bought: dict[str, dict[tuple[str, int], ReferenceOrderLine]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    refunds: dict[tuple[str, int], tuple[str, str, int]] = field(default_factory=dict)


def reference(records: Iterable[RawRecord]) -> tuple[Rows, Clients]:
    """Return (days, clients) per (query, product); what adds up to nothing is left out.

    Repeated and refused records may be among them.
    """
    shoppers: dict[str, Facts] = defaultdict(Facts)
    for record in records:
        if record.truth.outcome == "accepted" and record.topic_name != "products":
            body = json.loads(record.value or b"")
            (_add_search if record.topic_name == "searches" else _add_interaction)(
                shoppers[body["client_id"]], body
            )
    earned = [
        (
            query,
            product,
            at // 86_400_000,
            action,
            rate,
            units,
            revenue,
            blake2b(client.encode(), digest_size=8).hexdigest(),
        )
        for client, facts in shoppers.items()
        for crowded in [_crowded(facts)]
        for product in {*facts.touches, *facts.bought}
        for query, at, action, rate, units, revenue in _credits(facts, product, crowded)
    ]
    names = ("query", "product", "day", "action", "credit", "units", "revenue", "client")
    frame = pl.DataFrame(earned, schema=names, orient="row")
    rows: Rows = defaultdict(lambda: defaultdict(dict))
    for query, product, day, action, *counts in (
        frame.group_by("query", "product", "day", "action")
        .agg(pl.sum("credit", "units", "revenue"))
        .iter_rows()
    ):
        if any(counts):
            rows[query, product][day][action] = (counts[0], counts[1], counts[2])
    clients: Clients = defaultdict(dict)
    for query, product, client, credit in (
        frame.group_by("query", "product", "client").agg(pl.sum("credit")).iter_rows()
    ):
        if credit:
            clients[query, product][client] = credit
    return rows, clients


def _milliseconds(stamp: str | int) -> int:
    if isinstance(stamp, int):
        return stamp
    return (datetime.fromisoformat(stamp) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _add_search(facts: Facts, body: dict[str, Any]) -> None:
    shown = [str(h["object_id"]) for h in body.get("hits", ())] or [
        str(p) for p in body.get("query_response_hit_ids", ())
    ]
    at, query = _milliseconds(body["timestamp"]), normalise_query(body["user_query"])
    placed = frozenset(shown).intersection(map(str, body.get("placed", ())))
    new = ReferenceSearch(at, body["event_id"], query, body.get("session_id"), frozenset(shown), placed)
    old = facts.searches.get(body["query_id"], new)
    facts.searches[body["query_id"]] = min(old, new, key=lambda s: s[:2])._replace(
        shown=old.shown | new.shown, placed=old.placed | new.placed
    )


def _add_interaction(facts: Facts, body: dict[str, Any]) -> None:
    at, event_id, session = _milliseconds(body["timestamp"]), body["event_id"], body.get("session_id")
    action = NAMES.get(body["action_name"], body["action_name"])
    items = body.get("items") or [body["event_attributes"]["object"]]
    numbers: dict[str, int] = defaultdict(int)
    for index, item in enumerate(items):
        product, query_id = str(item["object_id"]), item.get("query_id") or body.get("query_id")
        if action == "purchase":
            named = tuple(dict.fromkeys(q for q in (item.get("query_id"), body.get("query_id")) if q))
            revenue = round(item.get("unit_price", 0.0) * 100) * item["quantity"]
            order, line = (
                body.get("order_id") or event_id,
                ReferenceOrderLine(at, event_id, item["quantity"], revenue, named, session),
            )
            known = facts.bought[product].setdefault((order, numbers[product]), line)
            facts.bought[product][order, numbers[product]] = min(known, line, key=lambda x: x[:2])
            numbers[product] += 1
        elif action == "refund":
            facts.refunds[event_id, index] = (body["order_id"], product, item["quantity"])
        elif action != "impression":
            once = query_id is not None and action != "remove_from_cart"
            key = "\x1f".join(("q", str(query_id), product, action) if once else ("e", event_id, str(index)))
            touch = ReferenceTouch(at, event_id, action, query_id, session, at)
            old = facts.touches[product].get(key, touch)
            facts.touches[product][key] = min(old, touch, key=lambda t: t[:2])._replace(
                last=max(old.last, touch.last)
            )


def _crowded(facts: Facts) -> set[int]:
    minutes = Counter(t.at // MINUTE for touches in facts.touches.values() for t in touches.values())
    return {minute for minute, count in minutes.items() if count > MOST_IN_A_MINUTE}


def _credits(facts: Facts, product: str, crowded: set[int]) -> Iterator[tuple[str, int, str, int, int, int]]:
    """Yield (query, time, action, credit, units, revenue) of one product of one shopper."""
    touches, bought = facts.touches.get(product, {}), facts.bought.get(product, {})
    owners = {
        key: None if t.at // MINUTE in crowded else _owner_of_touch(facts, product, t)
        for key, t in touches.items()
        if t.action != "remove_from_cart"
    }
    taken_back, standing = _carts(touches, bought)
    earned = set()
    for key, t in sorted(touches.items(), key=lambda kt: (kt[1].at, kt[0])):
        owner = owners.get(key)
        if owner is not None and owner[1] and key not in taken_back:
            query, rate, via = owner
            if (via, t.action) not in earned:
                yield query, t.at, t.action, rate, 0, 0
            earned.add((via, t.action))
    refunded: dict[str, int] = defaultdict(int)
    for order, what, units in facts.refunds.values():
        refunded[order] += units if what == product else 0
    for (order, number), line in sorted(bought.items()):
        gone = min(line.units, refunded[order])
        refunded[order] -= gone
        kept = line.units - gone
        line_owner = _owner_of_line(facts, product, line, touches, owners, standing[order, number])
        if line_owner is not None and line_owner[1] and kept:
            yield (
                line_owner[0],
                line.at,
                "purchase",
                line_owner[1] * kept // line.units,
                kept,
                line.revenue * kept // line.units,
            )


Owner = tuple[str, int, str]


def _named(facts: Facts, product: str, at: int, query_ids: Iterable[str], window: int) -> Owner | None:
    for query_id in query_ids:
        s = facts.searches.get(query_id)
        if s is not None and -SKEW <= at - s.at <= window and (product in s.shown or not s.shown):
            return s.query, 0 if product in s.placed else 1000, query_id
    return None


def _showed_last(
    facts: Facts, product: str, at: int, session: str | None, window: int, rate: int
) -> Owner | None:
    near = [
        (s.at, query_id)
        for query_id, s in facts.searches.items()
        if product in s.shown
        and 0 <= at - s.at <= window
        and (session == s.session or None in {session, s.session})
    ]
    if not near:
        return None
    owner = facts.searches[max(near)[1]]
    return owner.query, 0 if product in owner.placed else rate, max(near)[1]


def _owner_of_touch(facts: Facts, product: str, t: ReferenceTouch) -> Owner | None:
    named = (t.query_id,) if t.query_id else ()
    window = PURCHASE if t.action == "add_to_cart" else CLICK
    return _named(facts, product, t.at, named, window) or _showed_last(
        facts, product, t.at, t.session, CLICK, 800
    )


def _owner_of_line(
    facts: Facts,
    product: str,
    line: ReferenceOrderLine,
    touches: dict[str, ReferenceTouch],
    owners: dict[str, Owner | None],
    carts: list[str],
) -> Owner | None:
    def latest(keys: Iterable[str], rate: int) -> Owner | None:
        seen = []
        for key in keys:
            at = touches[key].last if touches[key].last <= line.at else touches[key].at
            owner = owners[key]
            if owner is not None and 0 <= line.at - at <= PURCHASE:
                seen.append((at, key, owner[0], owner[1]))
        return (max(seen)[2], rate if max(seen)[3] else 0, "") if seen else None

    looks = [key for key, t in touches.items() if t.action in {"click", "view"}]
    return (
        _named(facts, product, line.at, line.query_ids, PURCHASE)
        or latest(carts, 1000)
        or latest(looks, 800)
        or _showed_last(facts, product, line.at, line.session, SESSION, 300)
    )


def _carts(
    touches: dict[str, ReferenceTouch], bought: dict[tuple[str, int], ReferenceOrderLine]
) -> tuple[set[str], dict[tuple[str, int], list[str]]]:
    """Return the carts that were taken back for good, and those that stood at each order line.

    A removal takes back the latest cart that stands and that no purchase has kept; putting it in again makes
    it stand again.
    """
    moments: list[tuple[int, int, Any]] = [(line.at, 1, key) for key, line in bought.items()]
    for key, t in touches.items():
        if t.action == "add_to_cart":
            moments += [(at, 0, key) for at in {t.at, t.last}]
        elif t.action == "remove_from_cart":
            moments.append((t.at, 2, key))
    stands: list[str] = []
    kept: set[str] = set()
    back: set[str] = set()
    at_line: dict[tuple[str, int], list[str]] = {}
    for _, kind, key in sorted(moments, key=lambda m: (m[0], m[1], str(m[2]))):
        if kind == 0:
            back.discard(key)
            stands = [k for k in stands if k != key] + [key]
        elif kind == 1:
            at_line[key] = list(stands)
            kept |= set(stands)
        else:
            open_ones = [k for k in stands if k not in kept]
            if open_ones:
                stands.remove(open_ones[-1])
                back.add(open_ones[-1])
    return back, at_line

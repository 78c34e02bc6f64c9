"""A load of raw events: one simulated shop, and as many copies of its shoppers as are needed.

Copies differ in every id that names a shopper, a search, an event or an order; products, queries and times
stay. So pairs are shared among copies as they are among the customers of a busy shop.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from broker.records import Outgoing
from schemas.settings import Settings
from simulator.shop import Shop

_OWN = ("client_id", "session_id", "user_id", "query_id", "event_id", "order_id")


def shop_of(seed: int, now: datetime) -> Shop:
    """Return the shop: about 25,000 clean events of four weeks that end at ``now``."""
    return Shop(seed, end=now, dirt_share=0.0)


def catalog_of(shop: Shop, settings: Settings) -> list[Outgoing]:
    """Return its products as records, those that are launched later or deleted too.

    No event is about an unknown product.
    """
    messages = [p.message(version=1, updated_at=shop.start) for p in shop.catalog]
    return [Outgoing(settings.topic("products"), m.to_json(), key=m.product_id.encode()) for m in messages]


def events_of(shop: Shop, settings: Settings, count: int) -> Iterator[Outgoing]:
    """Yield ``count`` searches and interactions."""
    raw = [r for r in shop.all_events() if r.topic_name != "products"]
    bodies = [(settings.topic(r.topic_name), json.loads(r.value or b"")) for r in raw]
    yield from islice(
        (_copy(topic, body, n) for n in range(1 + count // len(bodies)) for topic, body in bodies), count
    )


def _copy(topic: str, body: dict[str, Any], n: int) -> Outgoing:
    own: dict[str, Any] = {name: f"{body[name]}-{n}" for name in _OWN if name in body}
    if "items" in body:
        own["items"] = [
            item | ({"query_id": f"{item['query_id']}-{n}"} if "query_id" in item else {})
            for item in body["items"]
        ]
    return Outgoing(topic, json.dumps(body | own, ensure_ascii=False).encode(), key=own["client_id"].encode())

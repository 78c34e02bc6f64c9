"""A small shop whose customers use one word that no title holds, and the raw records of their weeks."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from tests.flows.reference import Raw

JARGON = "flurgh"
TARGET = "p000"
VISITS = 1500
_NOUNS = ("lamp", "kettle", "ladder", "jacket", "drill", "tent", "chair", "mixer", "scarf", "router")
_KINDS = ("compact", "large", "steel", "wooden", "red", "blue", "travel", "garden", "quiet", "heavy")


def titles() -> dict[str, str]:
    """Return a hundred products, each with a title of its own."""
    found = {f"p{i:03d}": f"{_KINDS[i % 10]} {_NOUNS[i // 10]} {i}" for i in range(100)}
    return found | {TARGET: "Adjustable basin nozzle"}


def products() -> Iterator[Raw]:
    """Yield the catalogue."""
    for product_id, title in titles().items():
        yield Raw(
            "products",
            product_id.encode(),
            json.dumps({"product_id": product_id, "title": title, "version": 1}).encode(),
        )


def visits(end: datetime, *, first: int, last: int) -> Iterator[Raw]:
    """Yield visits ``first`` to ``last`` (of at most ``VISITS``).

    A search, a click, every fourth a purchase, every twentieth returned. They spread over twenty days that
    end at ``end``, in order; every third visit asks for the jargon word.
    """
    names = titles()
    for number in range(first, last):
        rng = Random(number)
        product = TARGET if number % 3 == 0 else rng.choice(sorted(names))
        query = JARGON if product == TARGET else " ".join(rng.sample(names[product].split(), 2))
        at = end - timedelta(days=20) * (1 - number / VISITS) - timedelta(minutes=5)
        who = {"client_id": f"c{number % 400}", "query_id": f"q{number}"}
        shown = [product, *rng.sample(sorted(names), 5)]
        yield _event(
            "searches",
            who | {"event_id": f"s{number}", "user_query": query, "query_response_hit_ids": shown},
            at,
        )
        acted = {"event_id": f"k{number}", "action_name": "click", "object_id": product}
        yield _event("interactions", who | acted, at + timedelta(seconds=20))
        if number % 4 == 0:
            order = {
                "order_id": f"o{number}",
                "items": [{"object_id": product, "quantity": 2, "unit_price": 9.5}],
            }
            yield _event(
                "interactions",
                who | order | {"event_id": f"b{number}", "action_name": "purchase"},
                at + timedelta(minutes=2),
            )
            if number % 20 == 0:
                yield _event(
                    "interactions",
                    who | order | {"event_id": f"r{number}", "action_name": "refund"},
                    at + timedelta(minutes=4),
                )


def _event(topic: str, body: dict[str, object], at: datetime) -> Raw:
    value = json.dumps(body | {"timestamp": at.isoformat()}).encode()
    return Raw(topic, str(body["client_id"]).encode(), value)

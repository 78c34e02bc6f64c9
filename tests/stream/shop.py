"""A small shop's raw records, and what a single pure pass over them must count."""

import json
import random

from msgspec.structs import replace

from broker.records import Outgoing, Record
from credit.attribution import attribute
from credit.shopper import Rules, Shopper
from inbound.validation import validate_interaction, validate_search
from schemas.events import CleanInteraction, CleanSearch
from schemas.settings import StreamSettings
from stream.aggregation import canonical
from tests.stream.builders import MINUTE, fold

QUERIES = ["Red mug", "desk LAMP", "tea", "chair", "blue cup"]


def products(count):
    return [
        ("products", f"p{n}", {"product_id": f"p{n}", "title": f"Product number {n}", "version": 1})
        for n in range(count)
    ]


def engagements(shoppers, products, *, until_ms, seed=1):
    """Return ``(topic, key, body)`` of searches, clicks, carts, purchases and refunds.

    Each shopper's lie within an hour.
    """
    rng = random.Random(seed)
    found = []
    for s in range(shoppers):
        client, at = f"client-{s}", until_ms - 60 * MINUTE + rng.randrange(MINUTE)
        for v in range(4):
            query_id = f"q-{s}-{v}"
            shown = [f"p{n}" for n in rng.sample(range(products), 8)]
            common = {"client_id": client, "query_id": query_id}
            found.append(
                (
                    "searches",
                    client,
                    {
                        **common,
                        "timestamp": at,
                        "user_query": rng.choice(QUERIES),
                        "query_response_hit_ids": shown,
                    },
                )
            )
            for n, action in enumerate(
                rng.choices(["click", "add_to_cart", "purchase", "view", "impression"], k=4)
            ):
                at += rng.randrange(1, 2 * MINUTE)
                body = {**common, "event_id": f"e-{s}-{v}-{n}", "timestamp": at, "action_name": action}
                items = [{"product_id": rng.choice(shown), "quantity": rng.randint(1, 3), "unit_price": 9.5}]
                if action == "purchase":
                    body |= {"order_id": f"o-{s}-{v}-{n}", "items": items}
                    if rng.random() < 0.3:
                        refund = {
                            **body,
                            "event_id": f"r-{s}-{v}-{n}",
                            "action_name": "refund",
                            "items": [{**items[0], "quantity": 1}],
                        }
                        found.append(("interactions", client, refund))
                found.append(("interactions", client, {**body, "object_id": items[0]["product_id"]}))
    rng.shuffle(found)
    return found


def outgoing(raw, settings):
    return [
        Outgoing(settings.topic(topic), json.dumps(body).encode(), key=key.encode())
        for topic, key, body in raw
    ]


def expected(raw, now):
    """Return the pairs of one pure pass, by key, without what only counts writes."""
    settings = StreamSettings()
    states, contributions = {}, []
    for offset, (topic, key, body) in enumerate(raw):
        record = Record(topic, 0, offset, 0, key.encode(), json.dumps(body).encode())
        event = (validate_search if topic == "searches" else validate_interaction)(record, now, settings)
        assert isinstance(event, CleanSearch | CleanInteraction), event
        state = states.get(event.shopper) or Shopper()
        states[event.shopper], new = attribute(state, event, 0, (offset, 0), Rules.of(settings))
        contributions += new
    return comparable(fold(contributions))


def comparable(pairs):
    bare = {key: replace(pair, fence={}, revision=0) for key, pair in pairs.items()}
    return {key: canonical(pair) for key, pair in bare.items() if pair.days or pair.clients}

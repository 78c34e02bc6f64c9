"""What the chaos run sends.

A simulated shop's products, its week of records once and in order, and the same as a storm. Some shoppers
have a robot for a minute: more clicks than a person makes, and what was honest in that minute earns nothing
either.

A week of event time passes in a minute or two, so the whole lies within what a shopper's state remembers;
what is older than that is the matter of the unit tests.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

from broker.producing import Producer
from broker.records import Outgoing
from schemas.settings import Settings
from simulator.shop import Shop
from simulator.shop_records import Kind, RawRecord

PER_SESSION = 5.5
SESSIONS_PER_SHOPPER = 3
# A record overtakes others by at most this much event time; with the shop's own 40 minutes it stays under the
# lateness of an hour.
JITTER = timedelta(minutes=15)
COPIES, COPIES_WEIGHTS = (1, 2, 3), (75, 17, 8)
EVENTS_PER_BURST = 2500
BURST = 70  # clicks within the minute of one that was there; the rule's limit is 60
_CHUNK = 200


@dataclass(frozen=True, kw_only=True)
class Load:
    """``facts``: each once, in order of arrival. ``storm``: each one to three times, out of order."""

    products: list[RawRecord]
    facts: list[RawRecord]
    storm: list[RawRecord]


def make_load(seed: int, events: int) -> Load:
    """Return the first ``events`` records of the shop of this seed. The week ends an hour ago."""
    sessions = round(events / PER_SESSION) + 50
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    shop = Shop(
        seed, end=end, weeks=1, sessions_per_week=sessions, shoppers=max(20, sessions // SESSIONS_PER_SHOPPER)
    )
    arrived = [r for r in shop.events(0) if r.topic_name != "products" and r.truth.kind is not Kind.DUPLICATE]
    rng = Random(f"storm:{seed}")
    facts = arrived[: events - BURST * (events // EVENTS_PER_BURST)]
    facts = sorted([*facts, *_bursts(facts, events // EVENTS_PER_BURST, rng)], key=lambda r: r.arrives_at)
    copies = [
        replace(r, arrives_at=r.arrives_at + rng.random() * JITTER)
        for r in facts
        for _ in range(_copies(r, rng))
    ]
    return Load(products=list(shop.products()), facts=facts, storm=sorted(copies, key=lambda r: r.arrives_at))


def _bursts(facts: Sequence[RawRecord], count: int, rng: Random) -> Iterator[RawRecord]:
    """Yield the clicks of so many bursts, each of one shopper.

    Every other keeps the search that the click it imitates has named.
    """
    clicks = [r for r in facts if r.truth.kind is Kind.CLEAN and r.truth.action == "click"]
    clicked = sorted({line.product_id for r in clicks for line in r.truth.lines})
    shoppers = {json.loads(r.value or b"")["client_id"]: r for r in clicks}
    for number, shopper in enumerate(rng.sample(sorted(shoppers), count)):
        like = shoppers[shopper]
        for product in rng.sample(clicked, BURST):
            body = json.loads(like.value or b"")
            body |= {
                "event_id": f"{body['event_id']}-{product}",
                "event_attributes": {"object": {"object_id": product}},
            }
            if number % 2:
                body.pop("query_id", None)
            yield replace(
                like, value=json.dumps(body).encode(), arrives_at=like.arrives_at + rng.random() * JITTER
            )


def _copies(record: RawRecord, rng: Random) -> int:
    return 1 if record.truth.kind is Kind.TOO_LARGE else rng.choices(COPIES, COPIES_WEIGHTS)[0]


async def send(producer: Producer, settings: Settings, records: Sequence[RawRecord]) -> None:
    """Send records in order; returns when the broker has them."""
    for start in range(0, len(records), _CHUNK):
        await producer.send_all(
            Outgoing(settings.topic(r.topic_name), r.value, key=r.key)
            for r in records[start : start + _CHUNK]
        )

"""How long a learning process takes to come back with full tables, and with empty ones."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from msgspec.structs import replace

from benchmarks.throughput.measured_process import stream_half
from broker.producing import Producer, open_producer
from broker.reading import read_compacted
from broker.records import Outgoing, partition_of
from broker.topics import ensure_topics
from schemas.pairs import Pair, pair_key
from schemas.settings import StreamSettings
from schemas.topics import PAIRS, SHOPPERS, Topic
from stream.epochs import EPOCH_KEY

_AT_ONCE = 5000
_DEADLINE_S = 600.0


async def recovery(
    settings: StreamSettings, learnt: StreamSettings, pairs: int, shoppers: int
) -> dict[str, Any]:
    """Return how long one process takes with these many pairs and shoppers, and with none.

    They are copied from what lies under ``learnt``.
    """
    await ensure_topics(settings)
    empty_s, empty_mb = await _ready(settings)
    found = [Pair.from_json(value) for value in await values_of(learnt, PAIRS)]
    states = await values_of(learnt, SHOPPERS)
    async with open_producer(settings, linger_ms=20) as producer:
        pair_bytes = await _send(producer, islice(_pairs(settings, found), pairs))
        state_bytes = await _send(producer, islice(_shoppers(settings, states), shoppers))
    full_s, full_mb = await _ready(settings)
    return {
        "pairs": pairs,
        "shoppers": shoppers,
        "start_empty_s": round(empty_s, 2),
        "start_full_s": round(full_s, 2),
        "rss_empty_mb": empty_mb,
        "rss_full_mb": full_mb,
        "bytes_per_pair": round(pair_bytes / pairs),
        "bytes_per_shopper": round(state_bytes / max(1, shoppers)),
    }


async def values_of(settings: StreamSettings, topic: Topic) -> list[bytes]:
    """Return the newest value of every key of a compacted topic, without that of its epoch."""
    records = (await read_compacted(settings, settings.topic(topic.name))).records
    return [r.value for key, r in records.items() if r.value and key != EPOCH_KEY]


async def _ready(settings: StreamSettings) -> tuple[float, float]:
    begun = time.monotonic()
    with stream_half("learn", settings) as child:
        await child.until(child.ready, deadline_s=_DEADLINE_S, every_s=0.02)
        return time.monotonic() - begun, child.rss_mb()


async def _send(producer: Producer, records: Iterator[Outgoing]) -> int:
    size = 0
    while waiting := list(islice(records, _AT_ONCE)):
        size += sum(len(r.value or b"") for r in waiting)
        await producer.send_all(waiting)
    return size


def _pairs(settings: StreamSettings, found: list[Pair]) -> Iterator[Outgoing]:
    for n in range(1_000_000_000):
        pair = found[n % len(found)]
        query = f"{pair.query} {n}"
        place = partition_of(query, settings.partitions)
        copy = replace(pair, query=query)
        yield Outgoing(
            settings.topic(PAIRS.name), copy.to_json(), key=pair_key(query, pair.product_id), partition=place
        )


def _shoppers(settings: StreamSettings, states: list[bytes]) -> Iterator[Outgoing]:
    for n in range(1_000_000_000):
        shopper = f"shopper {n}"
        place = partition_of(shopper, settings.partitions)
        yield Outgoing(
            settings.topic(SHOPPERS.name), states[n % len(states)], key=shopper.encode(), partition=place
        )

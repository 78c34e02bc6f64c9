"""The newest records that producers have sent, read into a tally."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker.last_records import last_records
from inbound.producer_tally import JoinWindows, ProducerTally
from schemas.producers import ProducersFound
from schemas.settings import AttributionRules

# After so many records others get their turn.
_TURN = 50


@dataclass
class _Read:
    records: int = 0
    oldest_ms: float = float("inf")


async def read_producers(
    rules: AttributionRules, *, most: int, days: timedelta, on_read: Callable[[], object] = lambda: None
) -> ProducersFound:
    """Read at most about ``most`` records of each topic, of the newest ``days`` by Kafka's time of them.

    ``on_read`` is called after each record. Raises ``LookupError`` when a topic does not exist.
    """
    now = datetime.now(UTC)
    since_ms = (now - days).timestamp() * 1000
    windows = JoinWindows(click=rules.click_window, purchase=rules.purchase_window)
    tally = ProducerTally(rules.topic_prefix, windows, max_bytes=rules.max_record_bytes)
    read = {topic: await _into(tally, rules, topic, most, since_ms, on_read) for topic in tally.topics}
    searches = read[tally.topics[0]]
    every_search = searches.records < most and searches.oldest_ms >= since_ms
    return await asyncio.to_thread(tally.found, now, every_search=every_search)


async def _into(
    tally: ProducerTally,
    rules: AttributionRules,
    topic: str,
    most: int,
    since_ms: float,
    on_read: Callable[[], object],
) -> _Read:
    read = _Read()
    async for record in last_records(rules, [topic], most=most, enough=lambda: read.oldest_ms < since_ms):
        read.records += 1
        on_read()
        read.oldest_ms = min(read.oldest_ms, record.timestamp_ms)
        if record.timestamp_ms >= since_ms:
            tally.take(record)
        if read.records % _TURN == 0:
            await asyncio.sleep(0)
    return read

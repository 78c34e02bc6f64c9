"""What shoppers searched for lately, read from ``events``."""

import asyncio
from datetime import UTC, datetime

import msgspec

from api.kept_reading import KeptReading
from broker.last_records import last_records
from operations.query_counts import QueryCounts
from schemas.batches import unpack
from schemas.events import read_clean_event
from schemas.operator_http import QueriesFound
from schemas.settings import Settings
from schemas.topics import EVENTS

# What is read at most: a record holds one event to a hundred, so both are bounded.
SEARCHES_READ = 20_000
RECORDS_READ = 20_000
# After so many records requests get their turn.
_TURN = 5
RecentQueries = KeptReading[QueriesFound]


def recent_queries(settings: Settings) -> RecentQueries:
    """Return the newest searches by query."""

    async def read() -> QueriesFound:
        counts = QueryCounts()
        records = last_records(
            settings,
            [settings.topic(EVENTS.name)],
            most=RECORDS_READ,
            enough=lambda: len(counts) >= SEARCHES_READ,
        )
        number = 0
        async for record in records:
            take_events(counts, record.value or b"")
            number += 1
            if number % _TURN == 0:
                await asyncio.sleep(0)
        return await asyncio.to_thread(counts.found, datetime.now(UTC))

    return KeptReading(read, "the newest searches")


def take_events(counts: QueryCounts, batch: bytes) -> None:
    """Count the events of a record; what cannot be read counts nothing here, and the stream tells of it."""
    for _, fact in unpack(batch):
        try:
            counts.take(read_clean_event(fact))
        except msgspec.DecodeError:
            continue

"""What arrives in a second: one busy topic hides no other."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import pytest

from api.console import arrival_rates as tested
from api.console.arrival_rates import ArrivalRates
from broker.records import Record
from schemas.settings import Settings
from schemas.topics import CONTRIBUTIONS
from tests.waiting import until

LETTERS = 15


class FloodReader:
    """Of its topics those with credits get 1,600 records between two looks, the others ``LETTERS``."""

    def __init__(self, topics: list[str]) -> None:
        self.ends = dict.fromkeys(((topic, 0) for topic in topics), 0)
        self.at = dict(self.ends)

    async def positions(self) -> dict[tuple[str, int], int]:
        return dict(self.at)

    async def end_offsets(self) -> dict[tuple[str, int], int]:
        for topic, partition in self.ends:
            self.ends[topic, partition] += 1600 if topic.endswith(CONTRIBUTIONS.name) else LETTERS
        return dict(self.ends)

    def seek(self, places: Mapping[tuple[str, int], int]) -> None:
        self.at = dict(places)

    async def reached(self, ends: Mapping[tuple[str, int], int]) -> bool:
        return self.at == ends

    async def poll(self, *, max_records: int, **_: object) -> list[Record]:
        """Return what the first topic has, as aiokafka empties one partition before the next."""
        await asyncio.sleep(0)
        (topic, _), at = next((p, at) for p, at in self.at.items() if at < self.ends[p])
        count = min(max_records, self.ends[topic, 0] - at)
        self.at[topic, 0] += count
        reason = [("dlq.reason", b"unknown_field")]
        return [Record(topic, 0, at + n, 0, None, b"", headers=reason) for n in range(count)]


async def test_refusals_are_seen_beside_many_credits(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def opened(_: Settings, topics: list[str], **__: object) -> AsyncIterator[FloodReader]:
        yield FloodReader(topics)

    monkeypatch.setattr(tested, "open_reader", opened)
    monkeypatch.setattr(tested, "EVERY_S", 0.01)
    rates = ArrivalRates(Settings())
    rates.watched()
    running = asyncio.create_task(rates.run())
    try:
        await until(lambda: asyncio.sleep(0, rates.per_s("refused")), "refusals in a second")
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

"""Offsets without records, as an aborted transaction leaves them, are crossed in few steps."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import pytest

from broker import last_records as tested
from broker.last_records import last_records
from broker.records import Record
from schemas.connections import KafkaConnection

PLACE = ("t", 0)
OFFSETS = [*range(100), *range(1_000_000, 1_000_199)]


class GapReader:
    """Reads one partition that holds records at ``OFFSETS`` alone."""

    def __init__(self) -> None:
        self.seeks, self.at = 0, 0

    async def positions(self) -> dict[tuple[str, int], int]:
        return {PLACE: 0}

    async def end_offsets(self) -> dict[tuple[str, int], int]:
        return {PLACE: OFFSETS[-1] + 1}

    def seek(self, begins: Mapping[tuple[str, int], int]) -> None:
        self.seeks, self.at = self.seeks + 1, begins[PLACE]

    async def until(self, ends: Mapping[tuple[str, int], int]) -> AsyncIterator[Record]:
        for offset in self._between(self.at, ends[PLACE]):
            yield Record("t", 0, offset, 0, None, b"")

    @staticmethod
    def _between(begin: int, end: int) -> Iterator[int]:
        return (offset for offset in OFFSETS if begin <= offset < end)


async def test_a_long_gap_is_crossed_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = GapReader()

    @asynccontextmanager
    async def opened(*_: object, **__: object) -> AsyncIterator[GapReader]:
        yield reader

    monkeypatch.setattr(tested, "open_reader", opened)
    read = [r.offset async for r in last_records(KafkaConnection(), ["t"], most=200)]
    assert len(read) >= 200
    assert reader.seeks < 300

"""A page that tells a shopper's log again lets others have their turn."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from broker.records import Record
from credit.shopper import Rules
from operations import event_reading as tested
from operations.event_reading import ReadBound, SeenEvent
from schemas.events import CleanSearch
from schemas.settings import Settings, StreamSettings

SEARCH = CleanSearch(event_id="e", shopper="s", at_ms=0, query_id="q", query="shoe")
EVENTS, EACH_S = 50, 0.02


class SlowRetelling:
    """Takes events that each need some of the processor."""

    def __init__(self, *_: object) -> None: ...

    def take(self, *_: object) -> None:
        time.sleep(EACH_S)

    def stories(self) -> dict[object, object]:
        return {}


async def test_no_record_of_many_events_keeps_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def one_record(*_: object) -> AsyncIterator[Record]:
        yield Record("events", 0, 0, 0, None, b"s")

    def many(_: Record) -> Iterator[tuple[tuple[int, int], CleanSearch]]:
        return iter([((0, n), SEARCH) for n in range(EVENTS)])

    tracing = tested._Tracing(
        Settings(), Rules.without_salt(StreamSettings()), ReadBound(1000), lambda _: None
    )
    tracing.trace.events.append(SeenEvent(0, (0, 0), SEARCH, 0))
    monkeypatch.setattr(tested, "Retelling", SlowRetelling)
    monkeypatch.setattr(tested, "_events_in", many)
    monkeypatch.setattr(tested._Tracing, "_log", one_record)
    gaps, ended = [0.0], asyncio.Event()

    async def tick() -> None:
        before = time.monotonic()
        while not ended.is_set():
            await asyncio.sleep(0)
            now = time.monotonic()
            gaps.append(now - before)
            before = now

    ticking = asyncio.create_task(tick())
    await tracing.retell()
    ended.set()
    await ticking
    assert max(gaps) < EVENTS * EACH_S / 4

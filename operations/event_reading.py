"""Find an event in the topics: the raw record, its dead letter, the clean event and its contributions.

Only what names the event is kept, so memory does not grow with what is read; and how much is read may be
bounded.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from broker.last_records import last_records
from broker.reading import open_reader
from broker.records import Record
from credit.shopper import Fence, Rules
from operations.event_names import RAW, EventPlace, names_event, origin, place_of
from operations.retelling import Retelling, Story, Told
from schemas.base import UNREADABLE
from schemas.batches import unpack
from schemas.events import Tick, read_clean_event
from schemas.pairs import Contribution, Position
from schemas.settings import Settings
from schemas.topics import CONTRIBUTIONS, EVENTS, dead_letter_name

MAX_KEPT = 20
OnRead = Callable[[int], None]
# After so many records others get their turn.
_TURN = 200
_TURN_S = 0.01
# What the stream makes of an event is written no earlier than this before the event itself, by any clock.
_CLOCKS_MS = 60_000


@dataclass(frozen=True)
class ReadBound:
    """How much is read: ``most`` records of each kind of topic, None for all.

    The newest of them, or with ``since_ms`` the first since then (epoch ms, by the times of records), of each
    partition as many.
    """

    most: int | None = None
    since_ms: int | None = None


@dataclass(frozen=True)
class SeenEvent:
    """A clean event, where it lies and when its record was written."""

    source: int
    position: Fence
    event: Told
    written_ms: int


@dataclass
class Trace:
    """Where an event was seen.

    At most ``MAX_KEPT`` of each kind; ``read`` counts the records looked at, by topic; ``limits`` says what
    was not looked at, ``cut`` names the topics in which a search ended before all was read.
    """

    raw: list[Record] = field(default_factory=list)
    letters: list[Record] = field(default_factory=list)
    events: list[SeenEvent] = field(default_factory=list)
    stories: dict[tuple[int, Fence], Story] = field(default_factory=dict)
    contributions: dict[tuple[int, Fence], dict[Position, Contribution]] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)
    limits: list[str] = field(default_factory=list)
    cut: set[str] = field(default_factory=set)


async def trace_event(
    settings: Settings,
    event_id: str,
    rules: Rules,
    *,
    bound: ReadBound = ReadBound(),
    on_read: OnRead = lambda _: None,
) -> Trace:
    """Return where the event was seen and what came of it.

    ``on_read`` hears how many records more were read. Raises ``BrokerError``, ``MissingTopicError``.
    """
    found = _Tracing(settings, rules, bound, on_read)
    await found.look_for_records(event_id)
    await found.look_for_events(event_id)
    await found.retell()
    await found.look_for_contributions()
    return found.trace


async def event_at(settings: Settings, place: EventPlace) -> SeenEvent | None:
    """Return the event that lies at a place of ``events``; None where there is none any more."""
    source, offset, index = place
    record = await record_at(settings, EVENTS.name, source, offset)
    for position, event in _events_in(record) if record is not None else ():
        if record is not None and position == (offset, index):
            return SeenEvent(source, position, event, record.timestamp_ms)
    return None


async def record_at(settings: Settings, name: str, partition: int, offset: int) -> Record | None:
    """Return the record at a place of a topic; None where there is none any more."""
    place = (settings.topic(name), partition)
    async with open_reader(settings, [place[0]]) as reader:
        oldest, ends = await reader.positions(), await reader.end_offsets()
        if not oldest.get(place, 0) <= offset < ends.get(place, 0):
            return None
        record = (await reader.first_at({place: offset})).get(place)
    return record if record is not None and record.offset == offset else None


class _Tracing:
    def __init__(self, settings: Settings, rules: Rules, bound: ReadBound, on_read: OnRead) -> None:
        self._settings = settings
        self._rules = rules
        self._bound = bound
        self._on_read = on_read
        self._whole = True
        self.trace = Trace()

    async def look_for_records(self, event_id: str) -> None:
        raw, letters = self.trace.raw, self.trace.letters
        async for record in self._records(list(RAW), lambda: bool(raw)):
            if len(raw) < MAX_KEPT and names_event(record, event_id):
                raw.append(record)
        names = [dead_letter_name(name) for name in RAW]
        async for record in self._records(names, lambda: bool(letters)):
            if len(letters) < MAX_KEPT and names_event(origin(record), event_id):
                letters.append(record)
        for found in (raw, letters):
            found.sort(
                key=lambda record: (record.timestamp_ms, record.topic, record.partition, record.offset)
            )

    async def look_for_events(self, event_id: str) -> None:
        wanted, found = event_id.encode(), self.trace.events
        async for record in self._records([EVENTS.name], lambda: bool(found)):
            if wanted not in (record.value or b""):
                continue
            for position, event in _events_in(record):
                if event.event_id == event_id and len(found) < MAX_KEPT:
                    found.append(SeenEvent(record.partition, position, event, record.timestamp_ms))
        found.sort(key=lambda one: (one.source, one.position))

    async def retell(self) -> None:
        """Tell the log of each shopper again. Events of one id are nearly always one shopper's."""
        events = self.trace.events
        for source, shopper in sorted({(one.source, one.event.shopper) for one in events}):
            wanted = frozenset(one.position for one in events if one.source == source)
            told, turned = Retelling(wanted, source, self._rules), time.monotonic()
            async for record in self._log(source, min(wanted)[0]):
                if shopper.encode() in (record.value or b""):
                    for position, event in _events_in(record):
                        if event.shopper == shopper:
                            told.take(position, event)
                            if time.monotonic() - turned > _TURN_S:  # others wait for this thread
                                await asyncio.sleep(0)
                                turned = time.monotonic()
            stories = told.stories()
            beyond = Story("it lies beyond what was read of its shopper")
            for one in events:
                if (one.source, one.event.shopper) == (source, shopper):
                    self.trace.stories[source, one.position] = stories.get(one.position, beyond)

    async def look_for_contributions(self) -> None:
        found = self.trace.contributions
        wanted = sum(len(story.contributions) for story in self.trace.stories.values())
        places = {
            f'"{one.source}-{one.position[0]}-{one.position[1]}-'.encode(): (one.source, one.position)
            for one in self.trace.events
        }
        if not places or (not wanted and self._bound.most is not None):
            return
        since_ms = min(one.written_ms for one in self.trace.events) - _CLOCKS_MS
        records = self._records(
            [CONTRIBUTIONS.name],
            lambda: sum(map(len, found.values())) >= wanted,
            since_ms=since_ms if self._bound.most is not None else None,
        )
        async for record in records:
            for prefix, place in places.items():
                if prefix not in (record.value or b""):
                    continue
                for _, raw in unpack(record.value or b""):
                    one = _contribution(raw) if prefix in raw else None
                    if one is not None and place_of(one) == (place[0], *place[1]):
                        # By its position: a replay writes the same contribution again.
                        found.setdefault(place, {})[one.position] = one

    async def _records(
        self, names: Sequence[str], enough: Callable[[], bool], *, since_ms: int | None = None
    ) -> AsyncIterator[Record]:
        """Yield the records of topics within the bound; a bounded reading ends once there is ``enough``."""
        most, since_ms = self._bound.most, self._bound.since_ms if since_ms is None else since_ms
        topics, count = [self._settings.topic(name) for name in names], 0
        for name in names:
            self.trace.read.setdefault(name, 0)
        newest = most is not None and since_ms is None
        if most is not None and since_ms is None:
            records = last_records(self._settings, topics, most=most, enough=enough)
        else:
            records = self._forward(topics, since_ms, enough)
        self._whole = True
        async for record in records:
            self._count(record)
            count += 1
            yield record
            if count % _TURN == 0:
                await asyncio.sleep(0)
        whole = not newest or most is None or count < most
        if not (whole and self._whole) and not enough():
            self.trace.cut.update(names)
            which = f"newest {count:,} records" if newest else f"first {count:,} records since then"
            self.trace.limits.append(f"of {', '.join(names)} only the {which} were read")

    async def _forward(
        self, topics: list[str], since_ms: int | None, enough: Callable[[], bool]
    ) -> AsyncIterator[Record]:
        """Yield the records since a time; within a bound, of each partition that has any as many."""
        most = self._bound.most
        async with open_reader(self._settings, topics) as reader:
            if since_ms is not None:
                await reader.seek_to_time(max(0, since_ms))
            ends, count = await reader.end_offsets(), 0
            upto = ends if most is None else _shared(await reader.positions(), ends, most)
            async for record in reader.until(upto):
                place = (record.topic, record.partition)
                if record.offset >= upto[place] - 1 and most is not None:
                    reader.pause(place)  # else it would go on while others have not come to their share
                if record.offset < upto[place]:
                    count += 1
                    yield record
                if most is not None and count % _TURN == 0 and enough():
                    return
            self._whole = upto == ends

    async def _log(self, source: int, place: int) -> AsyncIterator[Record]:
        """Yield the partition of a shopper, within the bound: as much before an event as after it."""
        topic, most = self._settings.topic(EVENTS.name), self._bound.most
        async with open_reader(self._settings, [topic], only=[(topic, source)]) as reader:
            first, end = (
                (await reader.positions())[topic, source],
                (await reader.end_offsets())[topic, source],
            )
            begin, last = (first, end) if most is None else (max(first, place - most), min(end, place + most))
            if begin > first or last < end:
                self.trace.limits.append(
                    f"of the shopper's events those in {last - begin:,} records around it were looked at: "
                    "what it did long before or after is not known here"
                )
            reader.seek({(topic, source): begin})
            count = 0
            async for record in reader.until({(topic, source): last}):
                if record.offset < last:
                    self._count(record)
                    count += 1
                    yield record
                    if count % _TURN == 0:
                        await asyncio.sleep(0)

    def _count(self, record: Record) -> None:
        self.trace.read[record.topic.removeprefix(self._settings.topic_prefix)] += 1
        self._on_read(1)


def _shared(
    begins: Mapping[tuple[str, int], int], ends: Mapping[tuple[str, int], int], most: int
) -> dict[tuple[str, int], int]:
    share = max(1, most // max(1, sum(end > begins[place] for place, end in ends.items())))
    return {place: min(end, begins[place] + share) for place, end in ends.items()}


def _events_in(record: Record) -> list[tuple[Fence, Told]]:
    found: list[tuple[Fence, Told]] = []
    for index, raw in unpack(record.value or b""):
        with suppress(*UNREADABLE):
            event = read_clean_event(raw)
            if not isinstance(event, Tick):
                found.append(((record.offset, index), event))
    return found


def _contribution(raw: bytes) -> Contribution | None:
    with suppress(*UNREADABLE):
        return Contribution.from_json(raw)
    return None

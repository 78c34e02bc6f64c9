"""Find an event in the topics: the raw record, its dead letter, the clean event and its contributions.

Every topic is read once from its beginning (``events`` twice) and only what names the event is kept, so
memory does not grow with them.
"""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

from pydantic_core import from_json

from broker.dead_letters import origin_of
from broker.reading import open_reader
from broker.records import Record
from commands.support.retelling import Retelling, Story, Told
from commands.support.topic_state import readable
from schemas.batches import unpack
from schemas.events import Tick, read_clean_event
from schemas.pairs import Contribution, Position
from schemas.settings import Settings
from schemas.topics import CONTRIBUTIONS, ERASURES, EVENTS, INTERACTIONS, SEARCHES, dead_letter_name
from stream.epochs import offset_of
from stream.shopper import Fence, Rules

RAW = (SEARCHES.name, INTERACTIONS.name, ERASURES.name)
MAX_KEPT = 20
OnRead = Callable[[int], None]


@dataclass
class Trace:
    """Where an event was seen.

    At most ``MAX_KEPT`` of each kind; ``read`` counts the records looked at, by topic.
    """

    raw: list[Record] = field(default_factory=list)
    letters: list[Record] = field(default_factory=list)
    events: list[tuple[int, Fence, Told]] = field(default_factory=list)
    stories: dict[tuple[int, Fence], Story] = field(default_factory=dict)
    contributions: dict[tuple[int, Fence], dict[Position, Contribution]] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)


async def trace_event(
    settings: Settings, event_id: str, rules: Rules, on_read: OnRead = lambda _: None
) -> Trace:
    """Return where the event was seen and what came of it.

    ``on_read`` hears how many records more were read.
    """
    trace = Trace()
    await _find_raw(settings, event_id, trace, on_read)
    await _find_events(settings, event_id, trace, on_read)
    await _retell(settings, trace, rules, on_read)
    await _find_contributions(settings, trace, on_read)
    return trace


def names_event(record: Record, event_id: str) -> bool:
    """Say whether a raw record is the event.

    By its body, its envelope, or, without an id of its own, by where it first lay.
    """
    wanted = event_id.encode()
    headers = {k: v for k, v in record.headers if k == "ce_id"}
    if record.value is not None and (
        wanted in record.value or json.dumps(event_id)[1:-1].encode() in record.value
    ):
        try:
            body = from_json(record.value)
        except ValueError:
            body = None
        if isinstance(body, dict):
            inner = body.get("data")
            own = [body.get("event_id"), body.get("id") if isinstance(inner, dict) else None]
            return event_id in own or (isinstance(inner, dict) and inner.get("event_id") == event_id)
    if headers:
        return headers["ce_id"] == wanted
    return event_id == str(uuid5(NAMESPACE_URL, origin_of(record)))


def origin(letter: Record) -> Record:
    """Return a dead letter as the record that it was; what its headers do not say, the letter says."""

    def number(name: str, otherwise: int) -> int:
        text = letter.header(f"__connect.errors.{name}") or b""
        return int(text) if text.isdigit() and len(text) <= 18 else otherwise

    topic = (
        letter.header("__connect.errors.topic") or letter.topic.removesuffix(dead_letter_name("")).encode()
    ).decode(errors="replace")
    place = number("partition", letter.partition), number("offset", letter.offset)
    return Record(topic, *place, letter.timestamp_ms, letter.key, letter.value, letter.headers)


async def _records(
    settings: Settings, names: list[str], trace: Trace, on_read: OnRead
) -> AsyncIterator[Record]:
    counts = trace.read
    for name in names:
        counts.setdefault(name, 0)
    async with open_reader(settings, [settings.topic(n) for n in names]) as reader:
        async for record in reader.until(await reader.end_offsets()):
            counts[record.topic.removeprefix(settings.topic_prefix)] += 1
            on_read(1)
            yield record


async def _find_raw(settings: Settings, event_id: str, trace: Trace, on_read: OnRead) -> None:
    async for record in _records(settings, list(RAW), trace, on_read):
        if len(trace.raw) < MAX_KEPT and names_event(record, event_id):
            trace.raw.append(record)
    async for record in _records(settings, [dead_letter_name(n) for n in RAW], trace, on_read):
        if len(trace.letters) < MAX_KEPT and names_event(origin(record), event_id):
            trace.letters.append(record)


async def _find_events(settings: Settings, event_id: str, trace: Trace, on_read: OnRead) -> None:
    wanted = event_id.encode()
    async for record in _records(settings, [EVENTS.name], trace, on_read):
        for index, raw in unpack(record.value or b""):
            if wanted in raw and len(trace.events) < MAX_KEPT:
                event = readable(read_clean_event, raw)
                if event is not None and not isinstance(event, Tick) and event.event_id == event_id:
                    trace.events.append((record.partition, (record.offset, index), event))


async def _retell(settings: Settings, trace: Trace, rules: Rules, on_read: OnRead) -> None:
    """Tell the log of each shopper again. Events of one id are nearly always one shopper's."""
    for source, shopper in sorted({(source, e.shopper) for source, _, e in trace.events}):
        told = Retelling(frozenset(position for s, position, _ in trace.events if s == source), source, rules)
        async for record in _records(settings, [EVENTS.name], trace, on_read):
            for index, raw in unpack(record.value or b"") if record.partition == source else ():
                if shopper.encode() in raw:
                    event = readable(read_clean_event, raw)
                    if event is not None and not isinstance(event, Tick) and event.shopper == shopper:
                        told.take((record.offset, index), event)
        trace.stories.update({(source, position): story for position, story in told.stories().items()})


async def _find_contributions(settings: Settings, trace: Trace, on_read: OnRead) -> None:
    places = {
        f'"{source}-{position[0]}-{position[1]}-'.encode(): (source, position)
        for source, position, _ in trace.events
    }
    if not places:
        return
    async for record in _records(settings, [CONTRIBUTIONS.name], trace, on_read):
        for _, raw in unpack(record.value or b""):
            for prefix, place in places.items():
                if prefix in raw:
                    found = readable(Contribution.from_json, raw)
                    if found is not None and _place_of(found) == place:
                        # By its position: a replay writes the same contribution again.
                        trace.contributions.setdefault(place, {})[found.position] = found


def _place_of(found: Contribution) -> tuple[int, tuple[int, int]]:
    return found.source, (offset_of(found.position[0]), found.position[1])

"""What arrives by kind: credits by the rule that made them, refusals by reason. While somebody looks only."""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

import msgspec
import structlog

from api.console.gauges import EVERY_S
from broker.dead_letters import reason_of
from broker.errors import BrokerError, MissingTopicError
from broker.reading import Reader, open_reader
from broker.records import Record
from schemas.base import DAMAGED
from schemas.batches import unpack
from schemas.events import Action
from schemas.settings import Settings
from schemas.topics import CONTRIBUTIONS, RAW, dead_letter_name

log = structlog.get_logger(__name__)

_LOOKS = 6
_LOOKED_AT_S = 20.0
# So many records of a topic are read at a look; of more they are a sample.
_MOST = 200
_TURN = 20
_LOOK_S = 10.0
_FETCH_BYTES = 1 << 18
_SHOWN = 12
_CREDITS: Mapping[int, str] = {
    1000: "it names the search, or is bought from a cart that does",
    800: "the shopper's latest search that showed it, or it was clicked before",
    300: "the session's latest search, or a text alone",
}
TAKEN_BACK, CHANGED = "taken back", "changed in part, by refunds"


class _Credit(msgspec.Struct):
    action: Action
    credit: int


_READ = msgspec.json.Decoder(_Credit)


@dataclass(frozen=True)
class ArrivalLook:
    """What has arrived until a look, by rule or reason."""

    at_s: float
    arrived: Mapping[str, float]


class ArrivalRates:
    """Run ``run`` as one task; ``watched`` says that somebody looks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._credits = settings.topic(CONTRIBUTIONS.name)
        letters = [settings.topic(dead_letter_name(one.name)) for one in RAW if one.dead_letters]
        self._topics: Mapping[str, list[str]] = {"credit": [self._credits], "refused": letters}
        # Each topic is looked at for itself: one with many records hides no other.
        self._looks = {
            topic: deque[ArrivalLook](maxlen=_LOOKS) for own in self._topics.values() for topic in own
        }
        self._until_s = 0.0
        self._wanted = asyncio.Event()

    def watched(self) -> None:
        """Measure for some seconds more."""
        self._until_s = time.monotonic() + _LOOKED_AT_S
        self._wanted.set()

    def per_s(self, what: str) -> dict[str, float] | None:
        """Return the credits by rule or the refusals by reason of a second; None before there were two looks.

        ``what``: ``credit`` or ``refused``. The most frequent come first.
        """
        sums = defaultdict[str, float](float)
        for looks in (self._looks[topic] for topic in self._topics[what]):
            if len(looks) < 2:
                return None
            first, *rest = looks
            for look in rest:
                for name, count in look.arrived.items():
                    sums[name] += count / (rest[-1].at_s - first.at_s)
        return dict(sorted(sums.items(), key=lambda item: -item[1])[:_SHOWN])

    async def run(self) -> None:
        """Measure while somebody looks, until cancelled. A broker that is away is asked again."""
        async with asyncio.TaskGroup() as tasks:
            for topic in self._looks:
                tasks.create_task(self._measure(topic))

    async def _measure(self, topic: str) -> None:
        while True:
            await self._wanted.wait()
            try:
                await self._watch(topic)
            except (BrokerError, MissingTopicError, TimeoutError) as error:
                log.warning("what arrives is not measured", topic=topic, reason=str(error))
                self._looks[topic].clear()
                await asyncio.sleep(EVERY_S)
            self._looks[topic].clear()
            if time.monotonic() >= self._until_s:
                self._wanted.clear()

    async def _watch(self, topic: str) -> None:
        """Look again and again.

        Raises ``TimeoutError`` where the broker does not give what it says is there.
        """
        async with open_reader(self._settings, [topic], start="end", fetch_bytes=_FETCH_BYTES) as reader:
            places = await reader.positions()
            while time.monotonic() < self._until_s:
                async with asyncio.timeout(_LOOK_S):
                    ends = await reader.end_offsets()
                    arrived = await self._arrived(reader, sum(ends.values()) - sum(places.values()), ends)
                self._looks[topic].append(ArrivalLook(time.monotonic(), arrived))
                reader.seek(ends)
                places = ends
                await asyncio.sleep(EVERY_S)

    async def _arrived(
        self, reader: Reader, written: int, ends: Mapping[tuple[str, int], int]
    ) -> Mapping[str, float]:
        """Return what lies before the ends, of which ``written`` records are new; by a sample of many."""
        found, read = Counter[str](), 0
        async for record in _within(reader, ends):
            found.update(self.kinds(record))
            read += 1
            if read % _TURN == 0:
                await asyncio.sleep(0)
        return {name: n * max(1.0, written / read) for name, n in found.items()}

    def kinds(self, record: Record) -> Iterator[str]:
        """Yield the rules or the reason of what is in a record."""
        if record.topic != self._credits:
            yield reason_of(record)
            return
        for _, raw in unpack(record.value or b""):
            try:
                one = _READ.decode(raw)
            except (msgspec.DecodeError, *DAMAGED):
                continue
            yield TAKEN_BACK if one.credit < 0 else _CREDITS.get(one.credit, CHANGED)


async def _within(reader: Reader, ends: Mapping[tuple[str, int], int]) -> AsyncIterator[Record]:
    count = 0
    while count < _MOST and not await reader.reached(ends):
        for record in await reader.poll(timeout_ms=50, max_records=_MOST - count):
            count += 1
            if record.offset < ends[record.topic, record.partition]:
                yield record

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
# So many records are read at a look; of more they are a sample.
_MOST = 200
_TURN = 20
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
    """What has arrived until a look, by kind: ``credit`` and a rule or ``refused`` and a reason."""

    at_s: float
    arrived: Mapping[tuple[str, str], float]


class ArrivalRates:
    """Run ``run`` as one task; ``watched`` says that somebody looks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._credits = settings.topic(CONTRIBUTIONS.name)
        letters = [settings.topic(dead_letter_name(one.name)) for one in RAW if one.dead_letters]
        self._topics = [self._credits, *letters]
        self._looks: deque[ArrivalLook] = deque(maxlen=_LOOKS)
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
        if len(self._looks) < 2:
            return None
        first, *rest = self._looks
        seconds, sums = rest[-1].at_s - first.at_s, defaultdict[str, float](float)
        for look in rest:
            for (kind, name), count in look.arrived.items():
                if kind == what:
                    sums[name] += count / seconds
        return dict(sorted(sums.items(), key=lambda item: -item[1])[:_SHOWN])

    async def run(self) -> None:
        """Measure while somebody looks, until cancelled. A broker that is away is asked again."""
        while True:
            await self._wanted.wait()
            try:
                await self._watch()
            except (BrokerError, MissingTopicError) as error:
                log.warning("what arrives is not measured", reason=str(error))
                await asyncio.sleep(EVERY_S)
            self._looks.clear()
            if time.monotonic() >= self._until_s:
                self._wanted.clear()

    async def _watch(self) -> None:
        async with open_reader(self._settings, self._topics, start="end", fetch_bytes=_FETCH_BYTES) as reader:
            places = await reader.positions()
            while time.monotonic() < self._until_s:
                ends = await reader.end_offsets()
                arrived = await self._arrived(reader, places, ends)
                self._looks.append(ArrivalLook(time.monotonic(), arrived))
                reader.seek(ends)
                places = ends
                await asyncio.sleep(EVERY_S)

    async def _arrived(
        self, reader: Reader, places: Mapping[tuple[str, int], int], ends: Mapping[tuple[str, int], int]
    ) -> Mapping[tuple[str, str], float]:
        """Return what lies between two places of each partition, by a sample where it is much."""
        found, read, count = dict[str, Counter[tuple[str, str]]](), Counter[str](), 0
        async for record in _within(reader, ends):
            read[record.topic] += 1
            found.setdefault(record.topic, Counter()).update(self.kinds(record))
            count += 1
            if count % _TURN == 0:
                await asyncio.sleep(0)
        written = Counter[str]()
        for (topic, partition), end in ends.items():
            written[topic] += end - places[topic, partition]
        return {
            kind: n * max(1.0, written[topic] / read[topic])
            for topic, own in found.items()
            for kind, n in own.items()
        }

    def kinds(self, record: Record) -> Iterator[tuple[str, str]]:
        """Yield what is in a record."""
        if record.topic != self._credits:
            yield "refused", reason_of(record)
            return
        for _, raw in unpack(record.value or b""):
            try:
                one = _READ.decode(raw)
            except (msgspec.DecodeError, *DAMAGED):
                continue
            yield "credit", TAKEN_BACK if one.credit < 0 else _CREDITS.get(one.credit, CHANGED)


async def _within(reader: Reader, ends: Mapping[tuple[str, int], int]) -> AsyncIterator[Record]:
    count = 0
    while count < _MOST and not await reader.reached(ends):
        for record in await reader.poll(timeout_ms=50, max_records=_MOST - count):
            count += 1
            if record.offset < ends[record.topic, record.partition]:
                yield record

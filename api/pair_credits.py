"""The credits behind a pair, each with the place of the event that caused it; read when somebody asks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from api.bodies import Capacity, HttpFault
from api.kept_reading import read_by_few
from broker.last_records import last_records
from operations.event_names import place_of
from schemas.base import DAMAGED
from schemas.batches import unpack
from schemas.bounds import LAST_EPOCH
from schemas.pairs import Contribution
from schemas.settings import Settings
from schemas.topics import CONTRIBUTIONS

# Of the partition of its query.
RECORDS_READ = 20_000
_KEPT = 500
_TURN = 200
_READ = msgspec.json.Decoder(Contribution)
_GREATEST = 1 << 53


@dataclass(frozen=True)
class PairCredit:
    """A change of credit. ``place`` is that of the event in ``events``; negative: taken back."""

    day: int
    action: str
    credit: float
    units: int
    written_at: datetime
    place: str


CreditReading = Callable[[str, str], Awaitable[list[PairCredit] | HttpFault]]


def pair_credits(settings: Settings, places: Capacity) -> CreditReading:
    """Return what reads the credits of a query and a product, the newest first; at most 500.

    A replay writes a credit again: it is told once. ``places``: how many partitions are read at once.
    """

    async def read(query: str, product_id: str) -> list[PairCredit] | HttpFault:
        return await read_by_few(places, lambda: _credits_of(settings, query, product_id), "the credits")

    return read


async def _credits_of(settings: Settings, query: str, product_id: str) -> list[PairCredit]:
    found: dict[str, PairCredit] = {}
    wanted, count = msgspec.json.encode(product_id), 0
    topics = [settings.topic(CONTRIBUTIONS.name)]
    records = last_records(settings, topics, most=RECORDS_READ, key=query, enough=lambda: len(found) >= _KEPT)
    async for record in records:
        count += 1
        if count % _TURN == 0:
            await asyncio.sleep(0)
        if wanted not in (record.value or b""):
            continue
        for _, raw in unpack(record.value or b""):
            one = _readable(raw) if wanted in raw else None
            if one is not None and (one.query, one.product_id) == (query, product_id):
                found[one.contribution_id] = _told(one, record.timestamp_ms)
    newest = sorted(found.values(), key=lambda one: (one.written_at, one.place), reverse=True)
    return newest[:_KEPT]


def _readable(raw: bytes) -> Contribution | None:
    try:
        one = _READ.decode(raw)
    except (msgspec.DecodeError, *DAMAGED):
        return None
    return one if all(abs(n) < _GREATEST for n in (one.day, one.credit, one.units)) else None


def _told(one: Contribution, written_ms: int) -> PairCredit:
    at = datetime.fromtimestamp(max(0, min(LAST_EPOCH // 10**9, written_ms / 1000)), UTC)
    place = "-".join(map(str, place_of(one)))
    return PairCredit(one.day, one.action.value, one.credit / 1000, one.units, at, place)

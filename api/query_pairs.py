"""What was learnt for one query, read from its partition of ``pairs`` when somebody asks."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from api.bodies import Capacity, HttpFault
from api.kept_reading import read_by_few
from broker.reading import open_reader
from schemas.base import DAMAGED
from schemas.pairs import Pair, credit_of, pair_key
from schemas.settings import Settings
from schemas.topics import PAIRS

PairReading = Callable[[str], Awaitable[list[Pair] | HttpFault]]
# After so many records requests get their turn.
_TURN = 200
_FETCH_BYTES = 1 << 20
_READ = msgspec.json.Decoder(Pair)
_GREATEST = 1 << 63


def query_pairs(settings: Settings, places: Capacity) -> PairReading:
    """Return what reads the pairs of a query, the greatest credit first; empty ones are left out.

    The query is normalised. One partition is read to its end: on a large shop that may take longer than a
    person waits, and is then given up. ``places``: how many are read at once.
    """

    async def read(query: str) -> list[Pair] | HttpFault:
        return await read_by_few(
            places, lambda: _pairs_of(settings, query), "the pairs", instead="searchloop pairs"
        )

    return read


async def _pairs_of(settings: Settings, query: str) -> list[Pair]:
    begin, found = f"{query}\t".encode(), dict[bytes, Pair]()
    topic = settings.topic(PAIRS.name)
    async with open_reader(settings, [topic], key=query, fetch_bytes=_FETCH_BYTES) as reader:
        count = 0
        async for record in reader.until(await reader.end_offsets()):
            count += 1
            if count % _TURN == 0:
                await asyncio.sleep(0)
            if record.key is not None and record.key.startswith(begin):
                pair = _readable(record.key, record.value)
                if pair is None:
                    found.pop(record.key, None)
                else:
                    found[record.key] = pair
    return sorted(found.values(), key=lambda pair: (-credit_of(pair), pair.product_id))


def _readable(key: bytes, value: bytes | None) -> Pair | None:
    """Return the pair of a record; None where it is deleted, empty, of another key or none of ours.

    JSON has numbers that no ``float`` holds: no count is one.
    """
    try:
        pair = _READ.decode(value or b"")
    except (msgspec.DecodeError, *DAMAGED):
        return None
    counts = (n for actions in pair.days.values() for own in actions.values() for n in own)
    if not pair.days or any(abs(n) > _GREATEST for n in counts):
        return None
    return pair if pair_key(pair.query, pair.product_id) == key else None

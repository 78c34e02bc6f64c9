"""The newest records of topics, without reading all that lies before them."""

from collections.abc import AsyncIterator, Callable

from broker.reading import open_reader
from broker.records import Record
from schemas.connections import KafkaConnection

_FIRST_BLOCK = 512
_GAP_BLOCK = 8192  # where offsets hold no records, as those of an aborted transaction
_FETCH_BYTES = 1 << 20


async def last_records(
    connection: KafkaConnection,
    topics: list[str],
    *,
    most: int,
    key: str | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> AsyncIterator[Record]:
    """Yield the newest records in blocks, the newest block first, each twice as long as the one before.

    Within a block those of a partition come in their order; of all partitions there are as many. Ends behind
    the block with which ``enough`` holds, with ``most`` records (less than one more of each partition, or
    than ``_GAP_BLOCK`` behind offsets without records), or with the oldest. ``key``: of each topic that
    partition alone in which records of this key lie. Raises ``LookupError`` when a topic does not exist.
    """
    async with open_reader(connection, topics, key=key, fetch_bytes=_FETCH_BYTES) as reader:
        oldest, ends = await reader.positions(), await reader.end_offsets()
        length, read, in_gap = max(1, _FIRST_BLOCK // len(ends)), 0, False
        while read < most and not enough():
            left = sum(end > oldest[place] for place, end in ends.items())
            length = min(length, _GAP_BLOCK if in_gap else max(1, (most - read) // max(1, left)))
            begins = {place: max(oldest[place], end - length) for place, end in ends.items()}
            if begins == ends:
                return
            before = read
            reader.seek(begins)
            async for record in reader.until(ends):
                if record.offset < ends[record.topic, record.partition]:
                    read += 1
                    yield record
            ends, length, in_gap = begins, 2 * length, read == before

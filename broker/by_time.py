"""Where a moment lies in a topic, found without the broker's help.

A broker that is asked for the offset of a time unpacks the first batch that is not older, each record whole.
One record of a few kilobytes that unpacks to more than its heap takes its memory, and so does every further
question. Our own reading is bounded (``safe_decoding``), so the place is found by bisection.
"""

from datetime import datetime

from broker.reading import open_reader
from schemas.connections import KafkaConnection

_FETCH_BYTES = 16 << 10  # one record of each partition is looked at


async def written_since(
    connection: KafkaConnection, topics: list[str], moment: datetime
) -> dict[tuple[str, int], range]:
    """Return the offsets that were written at ``moment`` or later, per topic and partition; may be empty.

    Times must rise within a partition, as those that the broker stamps do; else the place is about right.
    Raises ``LookupError`` when a topic does not exist.
    """
    at = moment.timestamp() * 1000
    async with open_reader(connection, topics, fetch_bytes=_FETCH_BYTES, fetch_wait_ms=5) as reader:
        low, ends = await reader.positions(), await reader.end_offsets()
        high = dict(ends)
        while middle := {tp: (low[tp] + high[tp]) // 2 for tp in ends if low[tp] < high[tp]}:
            found = await reader.first_at(middle)
            for tp, offset in middle.items():
                record = found.get(tp)
                if record is None or record.timestamp_ms >= at:
                    high[tp] = offset
                else:
                    low[tp] = record.offset + 1
        return {tp: range(min(low[tp], end), end) for tp, end in ends.items()}

"""Reading without a group: a topic to its end, or to its end and then on for ever.

The first is how a snapshot is taken, the second how a process follows ``releases`` or ``catalog``: state is
what the log says.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from broker.connecting import client_options, consumer_options
from broker.denials import principal_of
from broker.denials import start as start_client
from broker.errors import MissingTopicError
from broker.fetching import FetchPace
from broker.records import Record, partition_of
from broker.safe_decoding import install
from schemas.connections import KafkaConnection


@dataclass
class Compacted:
    """A compacted topic read to an offset.

    The newest record of every key, and the next offset per partition.
    """

    records: dict[bytes, Record] = field(default_factory=dict)
    offsets: dict[int, int] = field(default_factory=dict)

    def apply(self, record: Record) -> None:
        """Take one record in: a null value deletes its key. Records without a key are ignored."""
        if record.key is not None:
            if record.value is None:
                self.records.pop(record.key, None)
            else:
                self.records[record.key] = record
        self.offsets[record.partition] = record.offset + 1


class Reader:
    """An open reader of one or more topics, all partitions, without group and without commits."""

    def __init__(self, inner: AIOKafkaConsumer, partitions: list[TopicPartition], pace: FetchPace) -> None:
        self._inner = inner
        self._partitions = partitions
        self._pace = pace

    async def end_offsets(self) -> dict[tuple[str, int], int]:
        """Return the next offset to be written, per topic and partition."""
        self._pace.note(moved=True)
        ends = await self._inner.end_offsets(self._partitions)
        return {(tp.topic, tp.partition): int(end) for tp, end in ends.items()}

    async def first_at(self, places: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], Record]:
        """Return the first record at or behind a place, per topic and partition; none where none is left.

        Leaves the positions behind what it has read, and partitions without a place paused.
        """
        left = {TopicPartition(*place): offset for place, offset in places.items()}
        ends = await self._inner.end_offsets(list(left))
        self._inner.pause(*self._partitions)
        self._inner.resume(*left)
        for tp, offset in left.items():
            self._inner.seek(tp, offset)
        found: dict[tuple[str, int], Record] = {}
        while left:
            self._pace.note(moved=True)
            batches = await self._inner.getmany(*left, timeout_ms=200)
            found |= {(tp.topic, tp.partition): as_record(raw[0]) for tp, raw in batches.items() if raw}
            for tp in list(left):
                if batches.get(tp) or await self._inner.position(tp) >= ends[tp]:
                    del left[tp]
        return found

    async def positions(self) -> dict[tuple[str, int], int]:
        """Return the next offset to be read, per topic and partition."""
        return {(tp.topic, tp.partition): int(await self._inner.position(tp)) for tp in self._partitions}

    def seek(self, places: Mapping[tuple[str, int], int]) -> None:
        """Go on at these offsets, per topic and partition."""
        for place, offset in places.items():
            self._inner.seek(TopicPartition(*place), offset)

    def pause(self, place: tuple[str, int]) -> None:
        """Read no more of a topic's partition."""
        self._inner.pause(TopicPartition(*place))

    async def seek_to_time(self, at_ms: int) -> None:
        """Go on at the first record at or after a time, of each partition; at the end where there is none.

        By the times of records, which are those of their producers.
        """
        found = await self._inner.offsets_for_times(dict.fromkeys(self._partitions, at_ms))
        ends = await self._inner.end_offsets(self._partitions)
        for tp in self._partitions:
            place = found.get(tp)
            self._inner.seek(tp, ends[tp] if place is None else place.offset)

    async def poll(self, *, timeout_ms: int = 200, max_records: int = 2000) -> list[Record]:
        """Return what has arrived, at the latest after the timeout.

        The order is that of the log within a partition.
        """
        batches = await self._inner.getmany(timeout_ms=timeout_ms, max_records=max_records)
        self._pace.note(moved=bool(batches))
        return [as_record(raw) for records in batches.values() for raw in records]

    async def reached(self, ends: Mapping[tuple[str, int], int]) -> bool:
        """Say whether everything before the given end offsets is read."""
        positions = await self.positions()
        return all(positions[tp] >= end for tp, end in ends.items() if tp in positions)

    async def complete_at(self) -> float | None:
        """Return a moment (epoch seconds) before which all that was written is read; None while it is not.

        By the ends that the last fetches have told: the broker is not asked.
        """
        moments = list[float]()
        for tp in self._partitions:
            stable, told_ms = self._inner.last_stable_offset(tp), self._inner.last_poll_timestamp(tp)
            # -1: not read by transactions
            end = stable if stable is not None and stable >= 0 else self._inner.highwater(tp)
            if end is None or told_ms is None or int(await self._inner.position(tp)) < end:
                return None
            moments.append(told_ms / 1000)
        return min(moments)

    async def until(self, ends: Mapping[tuple[str, int], int]) -> AsyncIterator[Record]:
        """Yield every record up to the given end offsets; returns when each position has reached its end."""
        while not await self.reached(ends):
            for record in await self.poll():
                yield record


@asynccontextmanager
async def open_reader(
    connection: KafkaConnection,
    topics: list[str],
    *,
    start: Mapping[tuple[str, int], int] | str = "beginning",
    only: Collection[tuple[str, int]] | None = None,
    key: str | None = None,
    fetch_wait_ms: int = 200,
    fetch_bytes: int = 8 << 20,
    committed: bool = True,
) -> AsyncIterator[Reader]:
    """Open a reader for the length of the block.

    ``start``: ``"beginning"``, ``"end"``, or the next offset per (topic, partition). A partition that
    ``start`` does not name is read from its beginning. ``only``: these partitions of the topics, else all.
    ``key``: of each topic that partition alone in which records of this key lie. ``fetch_bytes``: of each
    partition at a time, at least a batch. ``committed``: of
    transactions only what was committed, and ends lie before the first open one; else everything. Raises
    ``LookupError`` when a topic does not exist.
    """
    install()
    partitions = [
        tp
        for tp in await _partitions(connection, topics, key)
        if only is None or (tp.topic, tp.partition) in only
    ]
    inner = AIOKafkaConsumer(
        **consumer_options(connection),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed" if committed else "read_uncommitted",
        fetch_max_wait_ms=fetch_wait_ms,
        max_partition_fetch_bytes=fetch_bytes,
    )
    try:
        await start_client(inner, connection)
        inner.assign(partitions)
        if start == "end":
            await inner.seek_to_end(*partitions)
        else:
            await inner.seek_to_beginning(*partitions)
            for (topic, partition), offset in start.items() if not isinstance(start, str) else ():
                inner.seek(TopicPartition(topic, partition), offset)
        yield Reader(inner, partitions, FetchPace(inner, fetch_wait_ms))
    finally:
        await inner.stop()


async def _partitions(
    connection: KafkaConnection, topics: list[str], key: str | None
) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(**client_options(connection))
    try:
        await start_client(admin, connection)
        # All topics, not these: asking a broker for a topic by name may create it.
        described = {
            t["topic"]: sorted(p["partition"] for p in t["partitions"]) for t in await admin.describe_topics()
        }
    finally:
        await admin.close()
    for topic in topics:
        if not described.get(topic):
            raise MissingTopicError(
                f"topic {topic!r} does not exist, or {principal_of(connection)} may not see it; each process "
                "of searchloop creates its topics at its start"
            )
    if key is not None:
        return [TopicPartition(topic, partition_of(key, len(described[topic]))) for topic in topics]
    return [TopicPartition(topic, partition) for topic in topics for partition in described[topic]]


async def read_compacted(connection: KafkaConnection, topic: str, *, key: str | None = None) -> Compacted:
    """Read a compacted topic from its beginning to the end it has now.

    ``key``: only the partition in which its records lie.
    """
    state = Compacted()
    async with open_reader(connection, [topic], key=key) as reader:
        ends = await reader.end_offsets()
        async for record in reader.until(ends):
            if record.offset < ends[topic, record.partition]:
                state.apply(record)
        state.offsets = {partition: end for (_, partition), end in ends.items()}
    return state


def as_record(raw: ConsumerRecord) -> Record:
    """Copy an aiokafka record into ours."""
    return Record(raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, raw.value, tuple(raw.headers))

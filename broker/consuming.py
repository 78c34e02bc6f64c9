"""Reading as a group: batches of records, committed by hand after their effects are durable."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from broker.reading import as_record
from broker.records import Record


class GroupConsumer:
    """A member of a consumer group. At least once: what is not committed comes again, to this member or another."""

    def __init__(self, inner: AIOKafkaConsumer) -> None:
        self._inner = inner
        self._read: dict[TopicPartition, int] = {}

    async def batch(self, *, timeout_ms: int, max_records: int) -> list[Record]:
        """Return what is there, at the latest after the timeout; an empty list when nothing is."""
        batches = await self._inner.getmany(timeout_ms=timeout_ms, max_records=max_records)
        return [as_record(raw) for records in batches.values() for raw in records]

    async def commit(self, records: list[Record]) -> None:
        """Say that these records, and all before them, are done. A commit that a rebalance overtook is passed over."""
        offsets: dict[TopicPartition, int] = {}
        for r in records:
            tp = TopicPartition(r.topic, r.partition)
            offsets[tp] = max(offsets.get(tp, 0), r.offset + 1)
        owned = self._inner.assignment()
        offsets = {tp: offset for tp, offset in offsets.items() if tp in owned}
        if offsets:
            try:
                await self._inner.commit(offsets)
            except (CommitFailedError, IllegalStateError):
                return

    async def commit_read(self) -> None:
        """Say that all that was handed out is done, transaction markers between and after records included."""
        with suppress(CommitFailedError, IllegalStateError):
            offsets = {tp: await self._inner.position(tp) for tp in self._inner.assignment()}
            if offsets and offsets != self._read:
                await self._inner.commit(offsets)
                self._read = offsets

    async def ends(self, topic: str) -> dict[int, int]:
        """Return the next offset to be written, of every partition of a topic of this group, held by this member or not."""
        partitions = self._inner.partitions_for_topic(topic) or set()
        ends = await self._inner.end_offsets([TopicPartition(topic, p) for p in partitions])
        return {tp.partition: int(end) for tp, end in ends.items()}

    async def committed(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """Return what the group, all members together, has committed; a partition without a commit counts as its beginning."""
        tps = [TopicPartition(topic, p) for p in partitions]
        begin = await self._inner.beginning_offsets(tps)
        return {tp.partition: int(await self._inner.committed(tp) or begin[tp]) for tp in tps}

    async def lag(self) -> int:
        """Return how many records of the assigned partitions have not been read yet, as far as known."""
        total = 0
        for tp in self._inner.assignment():
            high = self._inner.highwater(tp)
            if high is not None:
                total += max(0, high - await self._inner.position(tp))
        return total

    def assigned(self) -> bool:
        """Say whether this member holds at least one partition."""
        return bool(self._inner.assignment())


@asynccontextmanager
async def open_group(
    bootstrap: str, topics: list[str], group: str, *, fetch_wait_ms: int = 100, session_timeout_ms: int = 10_000
) -> AsyncIterator[GroupConsumer]:
    """Join a group for the length of the block. A group without a commit starts at the beginning of its topics."""
    inner = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=fetch_wait_ms,
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=max(500, session_timeout_ms // 4),
        max_poll_interval_ms=600_000,
        max_partition_fetch_bytes=4 << 20,
    )
    try:
        await inner.start()
        yield GroupConsumer(inner)
    finally:
        await inner.stop()

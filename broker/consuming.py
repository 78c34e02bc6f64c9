"""Reading as a group: batches of records, committed by hand after their effects are durable."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from heapq import heapify, heappop, heappush

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError

from broker.connecting import consumer_options
from broker.denials import start
from broker.fetching import FetchPace
from broker.reading import as_record
from broker.records import Record
from broker.safe_decoding import install
from schemas.connections import KafkaConnection

# After so long at most it is seen that a topic has more partitions, was deleted, or is there again.
METADATA_AGE_MS = 20_000
SHORT_SESSION_MS = 6_000  # for members that somebody waits for; the least that a broker allows by default
Assignment = AbstractSet[TopicPartition]


class _Moves(ConsumerRebalanceListener):  # type: ignore[misc] # ships no types
    """Whether partitions are being taken and given."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.joined = False

    async def on_partitions_revoked(self, _: object) -> None:
        self.over.clear()

    async def on_partitions_assigned(self, _: object) -> None:
        self.joined = True
        self.over.set()


class GroupConsumer:
    """A member of a consumer group.

    At least once: what is not committed comes again, to this member or another.
    """

    def __init__(self, inner: AIOKafkaConsumer, topics: list[str], pace: FetchPace) -> None:
        """Take a consumer that has subscribed to nothing yet."""
        self._inner = inner
        self._topics = topics
        self._pace = pace
        self._moves = _Moves()
        inner.subscribe(topics, listener=self._moves)
        self._read: dict[TopicPartition, int] = {}

    async def batch(self, *, timeout_ms: int, max_records: int) -> list[Record]:
        """Return what is there, at the latest after the timeout; an empty list when nothing is."""
        batches = await self._inner.getmany(timeout_ms=timeout_ms, max_records=max_records)
        self._pace.note(moved=bool(batches))
        return [as_record(raw) for records in batches.values() for raw in records]

    async def commit(self, records: list[Record]) -> None:
        """Say that these records, and all before them, are done.

        A commit that a rebalance overtook is ignored.
        """
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
        """Say that all that was handed out is done, transaction markers and what was rolled back included."""
        with suppress(CommitFailedError, IllegalStateError):
            offsets = {tp: await self._next(tp) for tp in self._inner.assignment()}
            if offsets and offsets != self._read:
                await self._inner.commit(offsets)
                self._read = offsets

    async def _next(self, tp: TopicPartition) -> int:
        """Return the offset of the next record to be handed out, or of what may come."""
        return int(await self._inner.position(tp))

    async def ends(self, topic: str) -> dict[int, int]:
        """Return the next offset to be written, of every partition of a topic of this group.

        Held by this member or not.
        """
        self._pace.note(moved=True)
        partitions = self._inner.partitions_for_topic(topic) or set()
        ends = await self._inner.end_offsets([TopicPartition(topic, p) for p in partitions])
        return {tp.partition: int(end) for tp, end in ends.items()}

    async def committed(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """Return what the group, all members together, has committed.

        A partition without a commit counts as its beginning.
        """
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

    async def read_up_ms(self) -> float | None:
        """Return when (epoch ms) the broker told of every assigned partition that all was handed out.

        None while more is there.
        """
        told: list[float] = []
        with suppress(IllegalStateError, AssertionError):  # a partition that is just being taken
            for tp in self._inner.assignment():
                high, at_ms = self._inner.highwater(tp), self._inner.last_poll_timestamp(tp)
                if high is None or at_ms is None or await self._inner.position(tp) < high:
                    return None
                told.append(float(at_ms))
            return min(told, default=None)
        return None

    def assignment(self) -> Assignment:
        """Return the partitions of this member.

        One object until the next assignment, under which reading begins at the commits anew.
        """
        partitions: Assignment = self._inner.assignment()
        return partitions

    async def settled(self) -> None:
        """Wait while the group is being assigned anew.

        What was answered meanwhile, another member may answer too.
        """
        await self._moves.over.wait()

    def missing(self) -> list[str]:
        """Return the topics of this group that do not exist now, as far as the broker has told."""
        return [topic for topic in self._topics if not self._inner.partitions_for_topic(topic)]

    def joined(self) -> bool:
        """Say whether the group has taken this member in, be it with partitions or as one that stands by."""
        return self._moves.joined

    def assigned(self) -> bool:
        """Say whether this member holds at least one partition."""
        return bool(self._inner.assignment())


class OrderedGroupConsumer(GroupConsumer):
    """Hands out records of all its partitions in the order in which the broker got them.

    As far as it can be known. A backlog would otherwise be read partition by partition: all clicks of a month
    before the searches that led to them. The record with the lowest broker time goes first, and none goes
    while a partition that has more is empty here, for at most ``PATIENCE_S``. Order within a partition is
    that of the log. With nothing to wait for, records go at once. (Kafka Streams does the same, KIP-353.)
    """

    PATIENCE_S = 2.0
    AHEAD = 2000

    def __init__(self, inner: AIOKafkaConsumer, topics: list[str], pace: FetchPace) -> None:
        super().__init__(inner, topics, pace)
        self._held: dict[TopicPartition, deque[Record]] = {}

    async def batch(self, *, timeout_ms: int, max_records: int) -> list[Record]:
        """Return what is next, at the latest after the timeout.

        Or after ``PATIENCE_S``, where a partition keeps others waiting.
        """
        loop = asyncio.get_running_loop()
        end, patience = loop.time() + timeout_ms / 1000, loop.time() + self.PATIENCE_S
        while True:
            owned = self._inner.assignment()
            self._held = {tp: self._held.get(tp, deque()) for tp in owned}
            wanted = [tp for tp, held in self._held.items() if len(held) < self.AHEAD]
            wait_ms = 0 if any(self._held.values()) else int(max(0.0, end - loop.time()) * 1000)
            batches = await self._inner.getmany(*wanted, timeout_ms=wait_ms) if wanted else {}
            self._pace.note(moved=bool(batches))
            for tp, records in batches.items():
                self._held.setdefault(tp, deque()).extend(as_record(raw) for raw in records)
            more = {tp for tp in self._held if await self._has_more(tp)}
            if loop.time() > patience:
                more = set()
            found = take_in_order(self._held, more, max_records)
            if found or (loop.time() >= end and not any(self._held.values())):
                return found
            await asyncio.sleep(0.002)

    async def _next(self, tp: TopicPartition) -> int:
        held = self._held.get(tp)
        return held[0].offset if held else await super()._next(tp)

    async def _has_more(self, tp: TopicPartition) -> bool:
        if tp not in self._inner.assignment():
            return False
        end = self._inner.last_stable_offset(tp)  # behind it lie open transactions, which may take minutes
        return end is None or await self._inner.position(tp) < end


def take_in_order(
    held: Mapping[TopicPartition, deque[Record]], more: AbstractSet[TopicPartition], limit: int
) -> list[Record]:
    """Take up to ``limit`` records out of ``held``, lowest broker time first.

    Stop where a partition of ``more`` is empty.
    """
    taken: list[Record] = []
    if any(not held[tp] for tp in more):
        return taken
    heads = [(queue[0].timestamp_ms, tp) for tp, queue in held.items() if queue]
    heapify(heads)
    while heads and len(taken) < limit:
        _, tp = heappop(heads)
        queue = held[tp]
        taken.append(queue.popleft())
        if queue:
            heappush(heads, (queue[0].timestamp_ms, tp))
        elif tp in more:
            break
    return taken


@asynccontextmanager
async def open_group(
    connection: KafkaConnection,
    topics: list[str],
    group: str,
    *,
    fetch_wait_ms: int = 100,
    session_timeout_ms: int = 10_000,
    in_order: bool = False,
    committed: bool = True,
    keeps: bool = False,
) -> AsyncIterator[GroupConsumer]:
    """Join a group for the length of the block.

    A group without a commit starts at the beginning of its topics. ``in_order``: across partitions too, see
    ``OrderedGroupConsumer``. ``committed``: of transactions only what was committed, which makes all behind
    an open one wait; else everything, at once. ``keeps``: a member keeps its partitions when another joins
    (KIP-54), for groups of which one member works and the others stand by; one such group in a process, since
    the assignor keeps its state in its class.

    A process with a name for good (``kafka_member``) does not leave at the end of the block: within its
    session it takes up what it had. Two of one name: the earlier one ends with ``FencedInstanceIdError``.
    """
    install()
    session_ms = round(connection.session(timedelta(milliseconds=session_timeout_ms)).total_seconds() * 1000)
    inner = AIOKafkaConsumer(
        **consumer_options(connection),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed" if committed else "read_uncommitted",
        fetch_max_wait_ms=fetch_wait_ms,
        group_instance_id=connection.kafka_member or None,
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=max(500, session_timeout_ms // 4),
        max_poll_interval_ms=600_000,
        metadata_max_age_ms=METADATA_AGE_MS,
        max_partition_fetch_bytes=4 << 20,
        # A group goes by what all its members know, so one that keeps may join those of an earlier version
        partition_assignment_strategy=(
            *((StickyPartitionAssignor,) if keeps else ()),
            RoundRobinPartitionAssignor,
        ),
    )
    group_of = OrderedGroupConsumer if in_order else GroupConsumer
    try:
        member = group_of(inner, topics, FetchPace(inner, fetch_wait_ms))
        await start(inner, connection)
        yield member
    finally:
        await inner.stop()

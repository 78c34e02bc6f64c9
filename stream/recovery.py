"""Faust's tables made safe.

With ``stream.app`` the only place that knows faust, and the only one that uses its private names. Written
against faust-streaming 0.15.3, which a test asserts: read this again before an upgrade. Why an override is
needed stands beside it.
"""
# ruff: noqa: SLF001 (the reason is above)

import asyncio
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import faust
from faust.streams import _current_event
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery, ServiceStopped
from faust.tables.table import Table
from faust.types import TP

from broker.claiming import Claims
from broker.records import Outgoing
from stream import metrics
from stream.holders import Holders, Names
from stream.restoring import Restoring

WRITTEN_FOR = "0.15.3"
FAUST_VERSION: str = faust.__version__


@contextmanager
def event_scope(event: Any) -> Iterator[None]:
    """Make ``event`` the current one, which tables ask for the partition to write to.

    ``take_events`` leaves none behind.
    """
    token = _current_event.set(weakref.ref(event))
    try:
        yield
    finally:
        _current_event.reset(token)


class FencedTable(Table):  # type: ignore[misc]
    """A table of bytes whose changelog is awaited, and whose recovery keeps the value with the greater fence.

    Upstream sends changes into a buffer and never looks at the outcome. Here they wait until ``flush`` has
    written them with acks=all. It writes under a claim, which ends when another worker recovers the
    partition: one that wakes up late writes nothing (ADR 0005).
    """

    def __init__(
        self,
        app: Any,
        *,
        readable: Callable[[bytes], bool],
        supersedes: Callable[[bytes, bytes], bool],
        claims: Claims,
        names: Names,
        **options: Any,
    ) -> None:
        """Take how values are read.

        ``supersedes`` and ``names`` are asked of those alone that are ``readable``.
        """
        super().__init__(app, **options)
        self._readable = readable
        self._supersedes = supersedes
        self._claims = claims
        self._holders = Holders(names)
        self._unwritten: list[Outgoing] = []
        # Each key under itself, so that the index holds no second copy
        self._keys: dict[int, dict[bytes, bytes]] = {}
        self._next_offsets: dict[int, int] = {}
        self._whole: set[int] = set()

    def read(self, key: bytes) -> bytes | None:
        """Return the stored bytes, or None."""
        stored: bytes | None = self.data.get(key)
        return stored

    def write(self, key: bytes, value: bytes, event: Any) -> None:
        """Store bytes under a key that came with ``event``. Durable after the next ``flush``."""
        old = self.data.get(key)
        with event_scope(event):
            self[key] = value
        self._holders.replaced(self._keys[event.message.partition][key], old, value)

    def remove(self, key: bytes, event: Any) -> None:
        """Remove a key that is there. Durable after the next ``flush``."""
        self._holders.replaced(key, self.data[key], None)
        with event_scope(event):
            del self[key]

    def keys_of(self, partition: int) -> list[bytes]:
        """Return the keys of a partition that this worker has."""
        return list(self._keys.get(partition, ()))

    def holding(self, partition: int, name: bytes) -> list[bytes]:
        """Return the keys of a partition whose stored values hold the name.

        ``names`` reads names out of stored bytes.
        """
        keys = self._keys.get(partition, {})
        return [key for key in self._holders.holding(name) if key in keys]

    def unnamed(self, partition: int) -> list[bytes]:
        """Return the keys of a partition whose stored values hold no name."""
        keys = self._keys.get(partition, {})
        return [key for key in self._holders.unnamed if key in keys]

    async def flush(self) -> None:
        """Write the changes to the changelog.

        Returns when the broker has acknowledged them, or raises ``KafkaError``.
        """
        changes, self._unwritten = self._unwritten, []
        whole = self._whole
        written = await self._claims.write_all(changes)
        if whole is self._whole:  # else another restoring has begun meanwhile, and looks for itself
            self._next_offsets.update({p: last + 1 for (_, p), last in written.items() if p in whole})

    def on_key_set(self, key: bytes, value: bytes) -> None:
        """Remember a change for ``flush`` instead of sending it unawaited.

        Called by faust on every assignment.
        """
        partition = self.partition_for_key(key)
        self._keys.setdefault(partition, {}).setdefault(key, key)
        self._unwritten.append(Outgoing(self.changelog_topic_name, value, key=key, partition=partition))

    def on_key_del(self, key: bytes) -> None:
        """Remember a removal for ``flush``. Called by faust on every deletion."""
        partition = self.partition_for_key(key)
        self._keys.get(partition, {}).pop(key, None)
        self._unwritten.append(Outgoing(self.changelog_topic_name, None, key=key, partition=partition))

    def keep(self, partitions: set[int]) -> None:
        """Forget the values of all other partitions.

        None is whole until it is ``restored``: others may have written to those kept.
        """
        self._whole = set()
        for partition in self._keys.keys() - partitions:
            for key in self._keys.pop(partition):
                self._holders.replaced(key, self.data.pop(key, None), None)
        self._next_offsets = {p: offset for p, offset in self._next_offsets.items() if p in partitions}

    def next_offset(self, partition: int) -> int:
        """Return from where the changelog has still to be read.

        After all that was restored or, since it was whole, written here.
        """
        return self._next_offsets.get(partition, 0)

    def restore(self, partition: int, offset: int, key: bytes, value: bytes | None) -> None:
        """Take in a record of the changelog, unless what is held supersedes it; None removes.

        What is not readable, or of a key that another partition of ours holds, is nobody's of ours: it is
        counted and skipped.
        """
        self._next_offsets[partition] = offset + 1
        old = self.data.get(key)
        elsewhere = old is not None and key not in self._keys.get(partition, {})
        if elsewhere or (value is not None and not self._readable(value)):
            metrics.UNREADABLE.labels(self.name).inc()
        elif value is None:
            self.data.pop(key, None)
            self._keys.get(partition, {}).pop(key, None)
            self._holders.replaced(key, old, None)
        elif old is None or self._supersedes(value, old):
            self.data[key] = value
            self._holders.replaced(self._keys.setdefault(partition, {}).setdefault(key, key), old, value)

    def restored(self, partition: int, next_offset: int) -> None:
        """Take in that all before ``next_offset`` has been restored.

        And that only this table writes from there on.
        """
        self._next_offsets[partition] = next_offset
        self._whole.add(partition)


class SafeRecovery(Recovery):  # type: ignore[misc]
    """Recovery that delivers nothing until every table and every position is where it must be.

    Upstream sends the changelogs through the queues of the streams, which every rebalance clears. Here
    ``stream.restoring`` reads them, and faust is told that nothing is left to read: its consumer holds their
    partitions, always paused.
    """

    async def _build_highwaters(self, _consumer: Any, _tps: set[Any], destination: Any, _title: str) -> None:
        # Asked of every partition, every few seconds
        self.app.consumer.verify_event_path = self._verify_event_path
        destination.clear()

    def _verify_event_path(self, now: float, tp: Any) -> None:
        """Watch what is read, as upstream does.

        Not changelogs, which are assigned and always paused, nor anything while tables recover. Upstream
        reports each of those as a stream that stands still, every ten seconds, from the fifth minute on.
        """
        if self.completed.is_set() and not self._is_changelog_tp(tp):
            consumer = self.app.consumer
            type(consumer).verify_event_path(consumer, now, tp)

    async def _build_offsets(self, _consumer: Any, _tps: set[Any], destination: Any, _title: str) -> None:
        destination.clear()

    async def _seek_offsets(self, _consumer: Any, _tps: set[Any], _offsets: Any, _title: str) -> None:
        return

    async def _wait(self, coro: Any, timeout: float | None = None) -> None:  # noqa: ASYNC109 (upstream's signature)
        """Wait as upstream does, but a timeout is a fault.

        Upstream takes it for a stop, and never recovers again.
        """
        try:
            await super()._wait(coro, timeout=timeout)
        except ServiceStopped:
            if not self.should_stop and not self.crashed:
                raise TimeoutError(
                    f"the broker did not answer a step of recovery within {timeout} s"
                ) from None
            raise

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Restore the tables and let the streams run.

        Upstream lets the streams flow, then seeks, then clears the queues: what was delivered in between is
        lost, and its offsets are committed later. Here the flow is shut first and opened last.
        """
        app, consumer = self.app, self.app.consumer
        await self.tables.restoring.restore(
            {(tp.topic, tp.partition): table for table, tps in self.actives_for_table.items() for tp in tps},
        )
        await app.on_rebalance_complete.send()
        self._set_recovery_ended()
        await asyncio.gather(
            *(
                t.on_recovery_completed(self.actives_for_table[t], self.standbys_for_table[t])
                for t in self.tables.values()
            )
        )
        if app.consumer_generation_id != generation_id:
            return  # another rebalance has begun; it comes through here again
        assignment = consumer.assignment()
        streams = {tp for tp in assignment if not self._is_changelog_tp(tp)}
        consumer.stop_flow()
        app.flow_control.suspend()
        if assignment:
            await self._wait(consumer.perform_seek(), timeout=app.conf.broker_request_timeout)
            uncommitted = [
                consumer._new_topicpartition(*tp) for tp in streams if not consumer._committed_offset[tp]
            ]
            if uncommitted:
                await consumer._thread.seek_to_beginning(*uncommitted)
        self.tables.begin_at({(tp.topic, tp.partition): consumer._committed_offset[tp] for tp in streams})
        consumer.resume_partitions(streams)
        self.completed.set()
        app.flow_control.resume()
        consumer.resume_flow()
        await app._fetcher.maybe_start()
        self.tables.on_actives_ready()
        if not app.assignor.assigned_standbys():
            self.tables.on_standbys_ready()
        app.on_rebalance_end()


class SafeTableManager(TableManager):  # type: ignore[misc]
    """The table manager that recovers with ``SafeRecovery``.

    ``begin_at`` hears where each stream partition starts. ``restoring`` must be set before the app starts.
    """

    restoring: Restoring
    begin_at: Callable[[dict[tuple[str, int], int | None]], None] = staticmethod(lambda _: None)

    _recovery: SafeRecovery | None

    @property
    def recovery(self) -> SafeRecovery:
        """Return the recovery service, made at first use."""
        if self._recovery is None:
            self._recovery = SafeRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery


def committed(app: Any, topic: str, partition: int) -> int:
    """Return the offset from which the app's group would read a partition again; 0 when it is not known.

    Faust moves it also when the broker has refused a commit because of a rebalance, which then takes the
    partition and this offset away.
    """
    return app.consumer._committed_offset.get(TP(topic, partition)) or 0


def recovered(app: Any) -> bool:
    """Say whether the tables of a started app are restored and its streams run."""
    recovery = app.tables._recovery
    return recovery is not None and recovery.completed.is_set() and not app.rebalancing


def crash_of(app: Any) -> BaseException | None:
    """Return why an app has crashed, or None. A crash inside faust does not come out of ``app.start()``."""
    if not app._crashed.is_set():
        return None
    return app._crash_reason or RuntimeError("faust crashed without a reason")

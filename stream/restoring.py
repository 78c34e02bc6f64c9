"""Bring tables back from their changelogs.

Claim the partitions, then read everything that lies before the marks of the claims. It knows no faust. A
plain reader takes a third of the time of faust's own recovery, and has no queues that a rebalance could
clear.
"""

from collections.abc import Mapping
from typing import Protocol

from broker.claiming import CLAIM_KEY, Claims, Place
from broker.reading import open_reader
from schemas.connections import KafkaConnection
from stream.epochs import EPOCH_KEY, Epochs


class Restorable(Protocol):
    """What restoring needs of a table."""

    def keep(self, partitions: set[int]) -> None:
        """Forget the values of all other partitions."""

    def next_offset(self, partition: int) -> int:
        """Return from where the partition has still to be read; 0 for one that is new here."""

    def restore(self, partition: int, offset: int, key: bytes, value: bytes | None) -> None:
        """Take in a record, unless what is held supersedes it; None removes the key.

        All before its offset has been taken in.
        """

    def restored(self, partition: int, next_offset: int) -> None:
        """Take in that all before ``next_offset``, the claim's mark among it, has been taken in."""


class Restoring:
    """Restores the tables of one worker, again after every change of its partitions."""

    def __init__(self, connection: KafkaConnection, claims: Claims, epochs: Epochs) -> None:
        self._connection = connection
        self._claims = claims
        self._epochs = epochs

    async def restore(self, held: Mapping[Place, Restorable]) -> None:
        """Return when every table holds all that was ever written to its partitions.

        Then nobody else can write to them any more. May be cancelled at any point and called again. Raises
        ``KafkaError``.
        """
        marks = await self._claims.take(held)
        parts: dict[int, tuple[Restorable, set[int]]] = {id(table): (table, set()) for table in held.values()}
        for (_, partition), table in held.items():
            parts[id(table)][1].add(partition)
        for table, partitions in parts.values():
            table.keep(partitions)
        if not held:
            return
        start = {place: table.next_offset(place[1]) for place, table in held.items()}
        topics = sorted({topic for topic, _ in held})
        # Whatever lies there is true, committed or not (ADR 0005).
        async with open_reader(
            self._connection, topics, start=start, only=held.keys(), committed=False
        ) as reader:
            async for r in reader.until({place: mark + 1 for place, mark in marks.items()}):
                if r.key == EPOCH_KEY:
                    self._epochs.restore(r.topic, r.partition, r.value)
                elif r.key is not None and r.key != CLAIM_KEY:
                    held[r.topic, r.partition].restore(r.partition, r.offset, r.key, r.value)
        for (topic, partition), table in held.items():
            table.restored(partition, marks[topic, partition] + 1)
        await self._epochs.settle(held, self._claims)

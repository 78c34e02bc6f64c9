"""Places in ``events`` that go on rising when the topic is made anew, or restored in another cluster.

A fence is a place in a partition of ``events``. In another topic of that name offsets begin again, and every
event would count as a replay. So a place is an offset plus the epoch of the partition, and the epoch rises
with each topic that a partition has been: ADR 0024. It stands in the changelog of ``shoppers``, under a key
that is no shopper's, beside what it is true of.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated
from uuid import UUID

import msgspec
import structlog

from broker.claiming import Claims
from broker.records import Outgoing
from credit.places import SPAN
from schemas.base import DAMAGED

log = structlog.get_logger(__name__)

# Ids hold no control characters, so it is nobody's key.
EPOCH_KEY = b"\x00epoch"
_MOST = 1 << 14  # places stay within 64 bits, which is all that a stored state can hold


class _Epoch(msgspec.Struct, frozen=True):
    """``topic_id``: that of ``events`` while the epoch lasts."""

    epoch: Annotated[int, msgspec.Meta(ge=0, lt=_MOST)]
    topic_id: UUID


class Epochs:
    """The epoch of each partition of ``events`` that this worker has.

    ``topic_id`` asks the broker which topic ``events`` is now: None when it cannot tell, and then nothing
    changes. ``changelog`` is the full name of ``shoppers``.
    """

    def __init__(self, topic_id: Callable[[], Awaitable[UUID | None]], changelog: str) -> None:
        self._topic_id = topic_id
        self._changelog = changelog
        self._held: dict[int, _Epoch] = {}

    def place(self, partition: int, offset: int) -> int:
        """Return the place of an offset: it is beyond all places of earlier epochs."""
        held = self._held.get(partition)
        return offset if held is None else held.epoch * SPAN + offset

    def restore(self, topic: str, partition: int, value: bytes | None) -> None:
        """Take in a record of a changelog that stands under ``EPOCH_KEY``."""
        if topic != self._changelog or value is None:
            return
        try:
            self._held[partition] = msgspec.json.decode(value, type=_Epoch)
        except (msgspec.DecodeError, *DAMAGED) as error:
            log.warning("an epoch cannot be read and is skipped", partition=partition, reason=str(error))

    async def settle(self, places: Iterable[tuple[str, int]], claims: Claims) -> None:
        """Begin a new epoch of the claimed partitions whose topic is another than before.

        All their changelogs must have been read. What was counted before ids were known belongs to the topic
        that is there now. Raises ``KafkaError``.
        """
        partitions = sorted(partition for topic, partition in places if topic == self._changelog)
        now = await self._topic_id() if partitions else None
        if now is None:
            return
        begun = {p: self._next(p, now) for p in partitions}
        begun = {p: epoch for p, epoch in begun.items() if epoch != self._held.get(p)}
        encoded = {p: msgspec.json.encode(epoch) for p, epoch in begun.items()}
        await claims.write_all(
            Outgoing(self._changelog, value, key=EPOCH_KEY, partition=p) for p, value in encoded.items()
        )
        self._held |= begun
        if risen := {p: epoch.epoch for p, epoch in begun.items() if epoch.epoch}:
            log.warning(
                "the topic of events is another one than before: its records count as new", epochs=risen
            )

    def _next(self, partition: int, now: UUID) -> _Epoch:
        held = self._held.get(partition)
        if held is None:
            return _Epoch(0, now)
        return held if held.topic_id == now else _Epoch(held.epoch + 1, now)

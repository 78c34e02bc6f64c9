"""Write ``releases`` and ``decisions``.

A change counts when the broker has it, and only then the state in memory follows. ``releases`` is written by
claim: an indexer that slept while another took over is refused by the broker, whatever it believes. What
somebody else has written there all the same is overruled: the pointer is written again, and names the
stranger's as one that it follows.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Self

import structlog

from broker.claiming import Claims
from broker.guarding import judged
from broker.pointer_chain import PointerAncestry, digest
from broker.producing import Producer
from broker.reading import open_reader
from broker.records import Outgoing, Record
from broker.release_log import ReleaseLog
from indexer import changes
from indexer.decided import read_decision
from indexer.metrics import FOREIGN_RELEASES, LIVE_GENERATION, SEQUENCE
from indexer.state import State, state_of
from schemas.releases import LivePointer, Release, is_release_key, release_key
from schemas.settings import Settings
from schemas.topics import DECISIONS, RELEASES
from schemas.training import Decision

log = structlog.get_logger(__name__)
TELL_EVERY = timedelta(minutes=10)


class Ledger:
    """The state as the topics tell it.

    One writer: this process. ``begins`` is the offset of ``releases`` from which on it writes.
    """

    def __init__(
        self,
        settings: Settings,
        producer: Producer,
        claims: Claims,
        state: State,
        ancestry: PointerAncestry,
        begins: int,
    ) -> None:
        self._claims = claims
        self._settings = settings
        self._producer = producer
        self._topic = settings.topic(RELEASES.name)
        self._ancestry = ancestry
        self._own: Counter[tuple[bytes, bytes | None]] = Counter()
        self._told_at = datetime.min.replace(tzinfo=UTC)
        self.begins = begins
        self.state = state
        self._show()

    @classmethod
    async def open(cls, settings: Settings, producer: Producer, claims: Claims) -> Self:
        """Claim ``releases``, then read the state.

        Writes the decision of the live pointer if a crash came between the two.
        """
        topic = settings.topic(RELEASES.name)
        begins = (await claims.take([(topic, 0)]))[topic, 0]
        releases, ancestry, strangers = ReleaseLog(settings.deployment), PointerAncestry(), list[str]()
        async with open_reader(settings, [topic]) as reader:
            async for record in reader.until({(topic, 0): begins}):
                if record.offset >= begins:
                    continue
                said = releases.take(record)
                if releases.is_pointer(record):
                    if said is None:
                        strangers.append(digest(record.value or b""))
                    else:
                        ancestry.wrote(record.value or b"")
                elif said is None and releases.is_release(record) and record.value is not None:
                    log.warning("unreadable record of releases skipped", key=(record.key or b"")[:80])
        state, pointer = state_of(releases), releases.pointer
        known = (pointer.follows or []) if pointer else []
        ledger = cls(
            settings, producer, claims, state, PointerAncestry([*known, *ancestry.ours], strangers), begins
        )
        if not set(strangers) <= set(known):
            await ledger.overrule([], told=len(strangers))
        pointer = ledger.state.pointer
        if pointer and changes.decision_id(pointer) not in await _decision_ids(settings):
            before = pointer.previous.generation if pointer.previous else None
            await ledger.decided(changes.of_pointer(pointer, before=before))
        return ledger

    async def recorded(self, *releases: Release) -> None:
        """Write the records of generations, in order."""
        await self._write(*((self._key(r.generation), r.to_json()) for r in releases))
        for release in releases:
            self.state = self.state.with_release(release)

    async def erased(self, *releases: Release) -> None:
        """Let the records of generations go that nothing can serve any more."""
        if releases:
            await self._write(*((self._key(r.generation), None) for r in releases))
        for release in releases:
            self.state = self.state.without(release.generation)

    async def pointed(self, pointer: LivePointer) -> None:
        """Write the live pointer: the change of what serves."""
        pointer = pointer.model_copy(update={"follows": self._ancestry.follows})
        value = pointer.to_json()
        await self._write((pointer.deployment.encode(), value))
        self.state = self.state.with_pointer(pointer)
        self._ancestry.wrote(value)
        self._show()

    async def decided(self, decision: Decision) -> None:
        """Write the evidence of a verdict or a change."""
        key = (decision.run_id or decision.decision_id).encode()
        await self._producer.send(Outgoing(self._settings.topic(DECISIONS.name), decision.to_json(), key=key))

    def foreign(self, records: Iterable[Record]) -> list[Record]:
        """Return the records from ``begins`` on with a key of ours that this process has not written."""
        pointer_key = self._settings.deployment.encode()
        found = []
        for record in records:
            if record.key is None or not (
                record.key == pointer_key or is_release_key(record.key, self._settings.deployment)
            ):
                continue
            if self._own[record.key, record.value]:
                self._own -= Counter([(record.key, record.value)])
            else:
                found.append(record)
        return found

    async def overrule(self, records: Iterable[Record], *, told: int = 0) -> None:
        """Write again what strangers' records would have changed."""
        values: dict[bytes, bytes | None] = {}
        for record in records:
            told += 1
            key = record.key or b""
            if key == self._settings.deployment.encode():
                self._ancestry.saw([record.value or b""])
            else:
                values[key] = next(
                    (r.to_json() for r in self.state.releases.values() if self._key(r.generation) == key),
                    None,
                )
        FOREIGN_RELEASES.inc(told)
        log.error(
            "releases holds records that this indexer did not write: they are overwritten", records=told
        )
        if values:
            await self._write(*values.items())
        if (before := self.state.pointer) is not None:
            await self.pointed(before.model_copy(update={"sequence": before.next_sequence}))
            if (now := datetime.now(UTC)) - self._told_at >= TELL_EVERY:
                self._told_at = now
                await self.decided(changes.of_overruled(self.state.pointer or before, told, now))

    def _key(self, generation: int) -> bytes:
        return release_key(generation, self._settings.deployment)

    async def _write(self, *records: tuple[bytes, bytes | None]) -> None:
        self._own.update(records)  # before the broker has them: they may be read before the acknowledgement
        await self._claims.write_all(
            Outgoing(self._topic, value, key=key, partition=0) for key, value in records
        )

    def _show(self) -> None:
        if pointer := self.state.pointer:
            LIVE_GENERATION.set(pointer.live.generation)
            SEQUENCE.set(pointer.sequence)


async def _decision_ids(settings: Settings) -> set[str]:
    async with open_reader(settings, [settings.topic(DECISIONS.name)]) as reader:
        ends = await reader.end_offsets()
        read = [judged(read_decision, record) async for record in reader.until(ends)]
        return {one.decision_id for one in read if isinstance(one, Decision)}

"""Write ``releases`` and ``decisions``: a change counts when the broker has it, and only then the state in memory follows.

``releases`` is written by claim: an indexer that slept while another took over is refused by the broker, whatever it believes.
"""

from typing import Self

from broker.claiming import Claims
from broker.guarding import judged
from broker.producing import Producer
from broker.reading import open_reader, read_compacted
from broker.records import Outgoing
from indexer import changes
from indexer.decided import read_decision
from indexer.metrics import LIVE_GENERATION, SEQUENCE
from indexer.state import State, read_state
from schemas.releases import LivePointer, Release, release_key
from schemas.settings import Settings
from schemas.topics import DECISIONS, RELEASES
from schemas.training import Decision


class Ledger:
    """The state as the topics tell it. One writer: this process."""

    def __init__(self, settings: Settings, producer: Producer, claims: Claims, state: State) -> None:
        self._claims = claims
        self._settings = settings
        self._producer = producer
        self.state = state
        self._show()

    @classmethod
    async def open(cls, settings: Settings, producer: Producer, claims: Claims) -> Self:
        """Claim ``releases``, then read the state. Writes the decision of the live pointer if a crash came between the two."""
        await claims.take([(settings.topic(RELEASES.name), 0)])
        topic = await read_compacted(settings.kafka, settings.topic(RELEASES.name))
        records = ((key, record.value) for key, record in topic.records.items() if record.value is not None)
        ledger = cls(settings, producer, claims, read_state(records, settings.deployment))
        pointer = ledger.state.pointer
        if pointer and changes.decision_id(pointer) not in await _decision_ids(settings):
            before = pointer.previous.generation if pointer.previous else None
            await ledger.decided(changes.of_pointer(pointer, before=before))
        return ledger

    async def recorded(self, *releases: Release) -> None:
        """Write the records of generations, in order."""
        if not releases:
            return
        topic = self._settings.topic(RELEASES.name)
        await self._claims.write_all(Outgoing(topic, r.to_json(), key=release_key(r.generation), partition=0) for r in releases)
        for release in releases:
            self.state = self.state.with_release(release)

    async def pointed(self, pointer: LivePointer) -> None:
        """Write the live pointer: from the acknowledgement on, its generation serves."""
        record = Outgoing(self._settings.topic(RELEASES.name), pointer.to_json(), key=pointer.deployment.encode(), partition=0)
        await self._claims.write_all([record])
        self.state = self.state.with_pointer(pointer)
        self._show()

    async def decided(self, decision: Decision) -> None:
        """Write the evidence of a verdict or a change."""
        key = (decision.run_id or decision.decision_id).encode()
        await self._producer.send(Outgoing(self._settings.topic(DECISIONS.name), decision.to_json(), key=key))

    def _show(self) -> None:
        if pointer := self.state.pointer:
            LIVE_GENERATION.set(pointer.live.generation)
            SEQUENCE.set(pointer.sequence)


async def _decision_ids(settings: Settings) -> set[str]:
    async with open_reader(settings.kafka, [settings.topic(DECISIONS.name)]) as reader:
        ends = await reader.end_offsets()
        read = [judged(read_decision, record) async for record in reader.until(ends)]
        return {one.decision_id for one in read if isinstance(one, Decision)}

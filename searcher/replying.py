"""Write answers where they belong.

One that cannot be written is replaced by one that can: no answer ends the process or is lost. Answers to the
default topic go out with everything that is ours; those to further topics, whose bounds and rights are not
ours, by a producer of their own, whose refusals touch nobody else. A topic that has just refused is spared
for a while.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from broker.foreign import LARGEST_BYTES, ForeignProducer
from broker.producing import Producer
from broker.records import Outgoing, bytes_of
from schemas.search import SearchResponse
from searcher.endings import not_taken, too_large
from searcher.metrics import ANSWERS, TOTAL_SECONDS, UNWRITABLE
from searcher.requests import Accepted, BadRequest

log = structlog.get_logger(__name__)

ENVELOPE_BYTES = 1024  # of a record besides key, value and headers: more than Kafka takes
SPARED_S = 30.0
# Answers that one further topic keeps waiting; what comes beyond them goes to the default topic
MOST_WAITING = 500


@dataclass(frozen=True)
class Reply:
    """One answer on its way and what it is for. ``again``: it was given before, and goes out as it was then.

    ``json`` is the answer as it is written; None until then.
    """

    to: Accepted | BadRequest
    response: SearchResponse
    json: bytes | None = None
    again: bool = False


class Replies:
    """Writes answers.

    ``limits`` are the most bytes of a record of each topic; ``further`` is None where only ``default`` is
    allowed.
    """

    def __init__(
        self, own: Producer, further: ForeignProducer | None, default: str, limits: Mapping[str, int]
    ) -> None:
        self._own = own
        self._further = further
        self._default = default
        self._limits = limits
        self._spared: dict[str, tuple[float, str]] = {}
        self._waiting: Counter[str] = Counter()

    def goes_further(self, reply: Reply) -> bool:
        """Say whether an answer goes to a topic that is not ours, which may keep it waiting for seconds."""
        return self._further is not None and reply.to.address.topic != self._default

    async def write(self, replies: Sequence[Reply]) -> None:
        """Write every reply, or what takes its place.

        Raises ``KafkaError`` when the default topic cannot be written.
        """
        ours: list[Reply] = []
        others: list[Reply] = []
        for one in replies:
            ANSWERS.labels(one.response.status.value).inc()
            if one.to.sent_ms is not None:
                TOTAL_SECONDS.observe(max(0.0, time.time() - one.to.sent_ms / 1000))
            (others if self.goes_further(one) else ours).append(one)
        await asyncio.gather(
            self._own.send_all([self._fitting(one) for one in ours]), self._write_further(others)
        )

    async def _write_further(self, replies: Sequence[Reply]) -> None:
        if not replies or self._further is None:
            return
        kinds = [self._spared_for(one.to.address.topic) for one in replies]
        tried = [one for one, kind in zip(replies, kinds, strict=True) if kind is None]
        refused = [(one, kind) for one, kind in zip(replies, kinds, strict=True) if kind is not None]
        waiting = Counter(one.to.address.topic for one in tried)
        self._waiting += waiting
        try:
            errors = await self._further.send_each([self._fitting(one) for one in tried])
        finally:
            self._waiting -= waiting
        for one, error in zip(tried, errors, strict=True):
            if error is not None:
                kind, topic = type(error).__name__, one.to.address.topic
                if topic not in self._spared:
                    log.warning("reply topic does not accept responses", topic=topic, fault=kind)
                self._spared[topic] = (time.monotonic() + SPARED_S, kind)
                refused.append((one, kind))
        for one, _ in refused:
            UNWRITABLE.labels(one.to.address.topic).inc()
        await self._own.send_all([self._on_default(one, kind) for one, kind in refused])

    def _spared_for(self, topic: str) -> str | None:
        until, kind = self._spared.get(topic, (0.0, ""))
        if time.monotonic() < until:
            return kind
        self._spared.pop(topic, None)
        return "too many wait" if self._waiting[topic] >= MOST_WAITING else None

    def _fitting(self, reply: Reply) -> Outgoing:
        """Return the record of an answer, or of one without hits where it is larger than the topic takes."""
        found = self._record(
            reply, reply.to.address.topic, reply.to.address.partition, reply.json or reply.response.to_json()
        )
        size, limit = bytes_of(found) + ENVELOPE_BYTES, self._limits.get(found.topic, LARGEST_BYTES)
        if size <= limit:
            return found
        UNWRITABLE.labels(found.topic).inc()
        instead = too_large(reply.response, size=size, limit=limit, topic=found.topic)
        return self._record(reply, found.topic, found.partition, instead.to_json())

    def _on_default(self, reply: Reply, kind: str) -> Outgoing:
        instead = not_taken(reply.response, topic=reply.to.address.topic, kind=kind)
        return self._record(reply, self._default, None, instead.to_json())

    @staticmethod
    def _record(reply: Reply, topic: str, partition: int | None, raw: bytes) -> Outgoing:
        key = reply.response.request_id.encode() or None
        return Outgoing(topic, raw, key=key, partition=partition, headers=reply.to.address.headers)

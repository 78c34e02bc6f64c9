"""One step of each agent: a batch of micro-batches in, outputs and table written and acknowledged when it returns.

Order matters: outputs first, then the table, so that a crash in between repeats outputs (which their fences absorb) and never skips them.
Raises only for infrastructure. A fact that cannot be read is not ours; it is counted and passed over.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

import structlog
from pydantic import ValidationError

from broker.producing import Producer
from schemas.batches import unpack
from schemas.events import CLEAN_EVENT, CleanInteraction, Tick
from schemas.pairs import Contribution, Pair, pair_key
from schemas.settings import StreamSettings
from schemas.topics import CONTRIBUTIONS
from stream import metrics
from stream.aggregation import aggregate, canonical
from stream.attribution import attribute
from stream.contiguity import Contiguity
from stream.packing import pack_by_key
from stream.shopper import Rules, Shopper, shopper_from_bytes

log = structlog.get_logger(__name__)

S = TypeVar("S")
MAX_PARSED = 20_000


class KeyedTable(Protocol):
    """What a step needs of a table."""

    def read(self, key: bytes) -> bytes | None: ...  # noqa: D102
    def write(self, key: bytes, value: bytes, event: Any) -> None: ...  # noqa: D102
    async def flush(self, producer: Producer) -> None: ...  # noqa: D102


class ParsedStates(Generic[S]):
    """Parsed table values beside their bytes. A value that the table has since replaced, by recovery for one, is parsed again."""

    def __init__(self, table: KeyedTable, parse: Callable[[bytes], S]) -> None:
        self._table = table
        self._parse = parse
        self._parsed: OrderedDict[bytes, tuple[bytes, S]] = OrderedDict()

    def load(self, key: bytes) -> S | None:
        """Return the state of a key, or None for a new one."""
        stored = self._table.read(key)
        if stored is None:
            return None
        held = self._parsed.get(key)
        return held[1] if held and held[0] is stored else self._parse(stored)

    def store(self, key: bytes, stored: bytes, state: S, event: Any) -> None:
        """Write a state to the table and keep it parsed."""
        self._table.write(key, stored, event)
        self._parsed[key] = (stored, state)
        self._parsed.move_to_end(key)
        if len(self._parsed) > MAX_PARSED:
            self._parsed.popitem(last=False)


class AttributeStep:
    """From events to contributions, with the table of shoppers."""

    def __init__(self, table: KeyedTable, producer: Producer, settings: StreamSettings, contiguity: Contiguity) -> None:
        self._table = table
        self._states = ParsedStates(table, shopper_from_bytes)
        self._producer = producer
        self._rules = Rules.of(settings)
        self._topic = settings.topic(CONTRIBUTIONS.name)
        self._partitions = settings.partitions
        self._contiguity = contiguity

    async def __call__(self, batch: Sequence[Any]) -> None:
        """Apply the batch. Returns when its contributions and then its states are acknowledged."""
        touched: dict[bytes, tuple[Shopper, Any]] = {}
        contributions: list[tuple[str, bytes]] = []
        for record, index, raw in _facts(batch, self._contiguity):
            try:
                event = CLEAN_EVENT.validate_json(raw)
            except ValidationError:
                metrics.UNREADABLE.labels("events").inc()
                continue
            if isinstance(event, Tick):
                continue
            metrics.EVENTS.labels(event.action.value if isinstance(event, CleanInteraction) else event.kind).inc()
            key = event.shopper.encode()
            before = touched[key][0] if key in touched else self._states.load(key) or Shopper()
            after, earned = attribute(before, event, record.message.partition, (record.message.offset, index), self._rules)
            if after is before:
                metrics.FENCED.labels("attribute").inc()
            metrics.EVICTED.inc(after.evicted - before.evicted)
            metrics.LATE.inc(after.late - before.late)
            contributions += [(c.query, c.to_json()) for c in earned]
            touched[key] = (after, record)
        await self._producer.send_all(pack_by_key(contributions, self._topic, self._partitions))
        metrics.CONTRIBUTIONS.labels("written").inc(len(contributions))
        for key, (state, record) in touched.items():
            self._states.store(key, state.to_bytes(), state, record)
        await self._table.flush(self._producer)


class AggregateStep:
    """From contributions to pairs. The table's changelog is the topic ``pairs`` itself."""

    def __init__(self, table: KeyedTable, producer: Producer, contiguity: Contiguity) -> None:
        self._table = table
        self._states = ParsedStates(table, Pair.from_json)
        self._producer = producer
        self._contiguity = contiguity

    async def __call__(self, batch: Sequence[Any]) -> None:
        """Apply the batch. Returns when its pairs are acknowledged."""
        touched: dict[bytes, tuple[Pair, Any]] = {}
        for record, _, raw in _facts(batch, self._contiguity):
            try:
                c = Contribution.from_json(raw)
            except ValidationError:
                metrics.UNREADABLE.labels("contributions").inc()
                continue
            key = pair_key(c.query, c.product_id)
            before = touched[key][0] if key in touched else self._states.load(key) or Pair(query=c.query, product_id=c.product_id)
            after = aggregate(before, c)
            if after is before:
                metrics.FENCED.labels("aggregate").inc()
            else:
                metrics.CONTRIBUTIONS.labels("applied").inc()
            touched[key] = (after, record)
        for key, (pair, record) in touched.items():
            self._states.store(key, canonical(pair), pair, record)
        await self._table.flush(self._producer)


def _facts(batch: Sequence[Any], contiguity: Contiguity) -> Iterator[tuple[Any, int, bytes]]:
    for record in batch:
        message = record.message
        missed = contiguity.missed(message.topic, message.partition, message.offset)
        if missed:
            metrics.GAPS.labels(message.topic).inc(missed)
            log.error("offsets were never seen", topic=message.topic, partition=message.partition, before=message.offset, missed=missed)
        for index, raw in unpack(record.value or b""):
            yield record, index, raw

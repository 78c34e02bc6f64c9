"""One step of each agent: a batch of micro-batches in, outputs and table written and acknowledged when it returns.

Order matters: outputs first, then the table, so that a crash in between repeats outputs (which their fences absorb) and never skips them.
Raises only for infrastructure. A fact that cannot be read is not ours; it is counted and passed over.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

import structlog
from msgspec import DecodeError

from broker.producing import Producer
from broker.records import partition_of
from schemas.batches import unpack
from schemas.events import Action, CleanEvent, CleanInteraction, Forget, Tick, read_clean_event
from schemas.pairs import ClientErasure, Contribution, Pair, pair_key
from schemas.settings import StreamSettings
from schemas.topics import CONTRIBUTIONS
from stream import metrics
from stream.aggregation import aggregate, canonical
from stream.attribution import DAY_MS, absorb
from stream.contiguity import Contiguity
from stream.erasure import erase_client, forget
from stream.packing import pack_by_key
from stream.shopper import Fence, Rules, Shopper, newest_of, rests, shopper_from_bytes

log = structlog.get_logger(__name__)

S = TypeVar("S")
MAX_PARSED = 20_000
LOOKED_AT_ONCE = 2000
_IMPRESSION = Action.IMPRESSION


class KeyedTable(Protocol):
    """What a step needs of a table."""

    def read(self, key: bytes) -> bytes | None: ...  # noqa: D102
    def write(self, key: bytes, value: bytes, event: Any) -> None: ...  # noqa: D102
    def keys_of(self, partition: int) -> list[bytes]: ...  # noqa: D102
    def holding(self, text: bytes) -> list[bytes]: ...  # noqa: D102
    async def flush(self) -> None: ...  # noqa: D102


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

    def put_away(self, key: bytes, stored: bytes, event: Any) -> None:
        """Write a state to the table that nobody will ask for soon."""
        self._table.write(key, stored, event)
        self._parsed.pop(key, None)


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
        self._rest = Rest(table, self._states, self._rules)

    async def __call__(self, batch: Sequence[Any]) -> None:
        """Apply the batch. Returns when its contributions and then its states are acknowledged."""
        states: dict[bytes, Shopper] = {}  # copies: what is stored stays as it is until the end
        last: dict[bytes, Any] = {}
        written: list[tuple[str | int, bytes]] = []
        counts: Counter[str] = Counter()  # a counter of prometheus costs more than a fact's share of Kafka, so it hears once a step
        fenced = evicted = late = uncredited = 0
        for record, index, raw in _facts(batch, self._contiguity):
            event = _event(raw)
            if event is None or isinstance(event, Tick):
                continue
            counts[event.action if isinstance(event, CleanInteraction) else event.kind] += 1
            key = event.shopper.encode()
            state = states.get(key)
            if state is None:
                state = states[key] = (self._states.load(key) or Shopper()).copy()
                evicted -= state.evicted
                late -= state.late
            last[key] = record
            source, position = record.message.partition, (record.message.offset, index)
            self._rest.hear(source, event.at_ms)
            if isinstance(event, Forget):
                states[key], facts = self._forget(state, event, source, position)
                written += facts
                continue
            earned = absorb(state, event, source, position, self._rules)
            if earned:
                written += [(c.query, c.to_json()) for c in earned]
            elif earned is None:
                fenced += 1
            elif isinstance(event, CleanInteraction) and event.action is not _IMPRESSION:
                uncredited += 1
        await self._producer.send_all(pack_by_key(written, self._topic, self._partitions))
        for kind, times in counts.items():
            metrics.EVENTS.labels(kind).inc(times)
        metrics.FENCED.labels("attribute").inc(fenced)
        metrics.EVICTED.inc(evicted + sum(state.evicted for state in states.values()))
        metrics.LATE.inc(late + sum(state.late for state in states.values()))
        metrics.UNCREDITED.inc(uncredited)
        metrics.CONTRIBUTIONS.labels("written").inc(len(written))
        for key, state in states.items():
            self._states.store(key, state.to_bytes(), state, last[key])
        metrics.RESTED.inc(self._rest.write(batch))
        await self._table.flush()

    def _forget(self, state: Shopper, event: Forget, source: int, position: Fence) -> tuple[Shopper, list[tuple[str | int, bytes]]]:
        """Return the state after an erasure and what to write: by query what is taken back, then to every partition the erasure."""
        after, taken_back, erasure = forget(state, event, source, position, self._rules)
        facts: list[tuple[str | int, bytes]] = [(c.query, c.to_json()) for c in taken_back]
        if erasure is None:
            metrics.FENCED.labels("attribute").inc()
        else:
            metrics.FORGOTTEN.inc()
            facts += [(partition, erasure.to_json()) for partition in range(self._partitions)]
        return after, facts


class Rest:
    """Puts shoppers to rest whom nobody has heard of for ``Rules.rest_ms``, once in a day of event time.

    So facts are kept of the shoppers of some weeks, not of all there ever were. Time is the newest event time of a partition.
    """

    def __init__(self, table: KeyedTable, states: ParsedStates[Shopper], rules: Rules) -> None:
        self._table, self._states, self._rules = table, states, rules
        self._newest: dict[int, int] = {}
        self._looked: dict[int, int] = {}
        self._due: dict[int, list[bytes]] = {}

    def hear(self, partition: int, at_ms: int) -> None:
        """Take in the time of an event."""
        if at_ms > self._newest.get(partition, 0):
            self._newest[partition] = at_ms

    def write(self, batch: Sequence[Any]) -> int:
        """Write the emptied states of the batch's partitions; return how many. Looks at ``LOOKED_AT_ONCE`` shoppers of each, no more."""
        rested = 0
        for partition, record in {record.message.partition: record for record in batch}.items():
            now = self._newest.get(partition, 0)
            due = self._due.setdefault(partition, [])
            if not due and now - self._looked.get(partition, 0) >= DAY_MS:
                self._looked[partition] = now
                due += self._table.keys_of(partition)
            for key in due[-LOOKED_AT_ONCE:]:
                stored = self._table.read(key)
                if stored and not rests(stored) and newest_of(stored) < now - self._rules.rest_ms:
                    self._states.put_away(key, shopper_from_bytes(stored).at_rest().to_bytes(), record)
                    rested += 1
            del due[-LOOKED_AT_ONCE:]
        return rested


class AggregateStep:
    """From contributions to pairs. The table's changelog is the topic ``pairs`` itself."""

    def __init__(self, table: KeyedTable, settings: StreamSettings, contiguity: Contiguity) -> None:
        self._table = table
        self._states = ParsedStates(table, Pair.from_json)
        self._partitions = settings.partitions
        self._contiguity = contiguity

    async def __call__(self, batch: Sequence[Any]) -> None:
        """Apply the batch. Returns when its pairs are acknowledged."""
        touched: dict[bytes, tuple[Pair, Any]] = {}
        fenced = applied = 0
        for record, _, raw in _facts(batch, self._contiguity):
            c = _contribution(raw)
            if c is None:
                continue
            if isinstance(c, ClientErasure):
                self._erase(c, record, touched)
                continue
            key = pair_key(c.query, c.product_id)
            before = touched[key][0] if key in touched else self._states.load(key) or Pair(query=c.query, product_id=c.product_id)
            after = aggregate(before, c)
            fenced += after is before
            applied += after is not before
            touched[key] = (after, record)
        for key, (pair, record) in touched.items():
            self._states.store(key, canonical(pair), pair, record)
        metrics.FENCED.labels("aggregate").inc(fenced)
        metrics.CONTRIBUTIONS.labels("applied").inc(applied)
        await self._table.flush()

    def _erase(self, erasure: ClientErasure, record: Any, touched: dict[bytes, tuple[Pair, Any]]) -> None:
        """Erase a client from every pair of the record's partition, those that this batch has changed included."""
        named = [key for key in self._table.holding(erasure.client.encode()) if key not in touched]
        held = [(key, self._states.load(key)) for key in named]
        held += [(key, pair) for key, (pair, _) in touched.items()]
        for key, before in held:
            if before is not None and partition_of(before.query, self._partitions) == record.message.partition:
                after = erase_client(before, erasure)
                if after is not before:
                    metrics.ERASED.inc()
                    touched[key] = (after, record)


def _event(raw: bytes) -> CleanEvent | None:
    """Return what a fact of ``events`` says, or None, counted, when it is not ours."""
    try:
        return read_clean_event(raw)
    except DecodeError:
        metrics.UNREADABLE.labels("events").inc()
        return None


def _contribution(raw: bytes) -> Contribution | ClientErasure | None:
    """Return what a fact of ``contributions`` says, or None, counted, when it is not ours. Erasures are rare, so they are tried second."""
    try:
        return Contribution.from_json(raw)
    except DecodeError:
        pass
    try:
        return ClientErasure.from_json(raw)
    except DecodeError:
        metrics.UNREADABLE.labels("contributions").inc()
        return None


def _facts(batch: Sequence[Any], contiguity: Contiguity) -> Iterator[tuple[Any, int, bytes]]:
    for record in batch:
        message = record.message
        missed = contiguity.missed(message.topic, message.partition, message.offset)
        if missed:
            metrics.GAPS.labels(message.topic).inc(missed)
            log.error("offsets were never seen", topic=message.topic, partition=message.partition, before=message.offset, missed=missed)
        for index, raw in unpack(record.value or b""):
            yield record, index, raw

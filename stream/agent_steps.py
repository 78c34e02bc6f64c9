"""One step of each agent.

A batch of micro-batches in, outputs and table written and acknowledged when it returns. Order matters:
outputs first, then the table, so that a crash in between repeats outputs (which their fences absorb) and
never skips them. Raises only for infrastructure.
"""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from broker.producing import Producer
from credit.attribution import absorb
from credit.erasure import erase_client, forget
from credit.places import offset_of
from credit.shopper import DAY_MS, Fence, Rules, Shopper, fence_of, newest_of, shopper_from_bytes
from schemas.events import Action, CleanInteraction, Forget, Tick
from schemas.pairs import SINGLE_DAYS, ClientErasure, Pair, pair_key
from schemas.settings import StreamSettings
from schemas.topics import CONTRIBUTIONS, EVENTS
from stream import metrics
from stream.aggregation import aggregate, canonical, fold_days, has_days_to_fold
from stream.contiguity import Contiguity
from stream.dropping import Committed, Dropping
from stream.epochs import Epochs
from stream.facts import contribution_of, event_of, facts_of
from stream.packing import pack_by_key
from stream.sweeping import Sweep, SweptTable

S = TypeVar("S")
MAX_PARSED = 20_000
_IMPRESSION = Action.IMPRESSION


class KeyedTable(SweptTable, Protocol):
    """What a step needs of a table."""

    def holding(self, partition: int, name: bytes) -> list[bytes]: ...  # noqa: D102
    def unnamed(self, partition: int) -> list[bytes]: ...  # noqa: D102
    async def flush(self) -> None: ...  # noqa: D102


class ParsedStates(Generic[S]):
    """Parsed table values beside their bytes.

    A value that the table has since replaced, by recovery for one, is parsed again.
    """

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

    def let_go(self, keys: Iterable[bytes]) -> None:
        """Keep these no longer parsed: the table has other bytes of them, or none."""
        for key in keys:
            self._parsed.pop(key, None)


class AttributeStep:
    """From events to contributions, with the table of shoppers.

    ``committed``: the offset of a partition from which a replay would begin. A shopper is removed of whom
    nobody has heard for ``Rules.rest_ms``, once no replay can bring its events again: so there are the
    shoppers of some weeks in the table, not all there ever were.
    """

    def __init__(
        self,
        table: KeyedTable,
        producer: Producer,
        settings: StreamSettings,
        contiguity: Contiguity,
        committed: Callable[[int], int],
        epochs: Epochs,
    ) -> None:
        self._table = table
        self._states = ParsedStates(table, shopper_from_bytes)
        self._producer = producer
        self._rules = Rules.of(settings)
        self._topic = settings.topic(CONTRIBUTIONS.name)
        self._partitions = settings.partitions
        self._contiguity = contiguity
        self._committed = committed
        self._epochs = epochs
        self._sweep = Sweep(table, self._unless_gone, DAY_MS)

    async def __call__(self, batch: Sequence[Any]) -> None:
        """Apply the batch. Returns when its contributions and then its states are acknowledged."""
        states: dict[bytes, Shopper] = {}  # copies: what is stored stays as it is until the end
        last: dict[bytes, Any] = {}
        written: list[tuple[str | int, bytes]] = []
        # A counter of prometheus costs more than a fact's share of Kafka, so it hears once a step
        counts: Counter[str] = Counter()
        fenced = evicted = late = uncredited = 0
        for record, index, raw, latest_ms in facts_of(batch, self._contiguity, self._rules):
            event = event_of(raw, latest_ms)
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
            source = record.message.partition
            position = (self._epochs.place(source, record.message.offset), index)
            self._sweep.hear(source, event.at_ms)
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
        gone = self._sweep.run(batch)
        self._states.let_go(gone)
        metrics.GONE.inc(len(gone))
        await self._table.flush()

    def _unless_gone(self, stored: bytes, now_ms: int, partition: int) -> bytes | None:
        old = newest_of(stored) < now_ms - self._rules.rest_ms
        return None if old and offset_of(fence_of(stored)[0]) < self._committed(partition) else stored

    def _forget(
        self, state: Shopper, event: Forget, source: int, position: Fence
    ) -> tuple[Shopper, list[tuple[str | int, bytes]]]:
        """Return the state after an erasure and what to write.

        By query what is taken back, then to every partition the erasure.
        """
        after, taken_back, erasure = forget(state, event, source, position, self._rules)
        facts: list[tuple[str | int, bytes]] = [(c.query, c.to_json()) for c in taken_back]
        if erasure is None:
            metrics.FENCED.labels("attribute").inc()
        else:
            metrics.FORGOTTEN.inc()
            facts += [(partition, erasure.to_json()) for partition in range(self._partitions)]
        return after, facts


class AggregateStep:
    """From contributions to pairs.

    The table's changelog is the topic ``pairs`` itself. ``committed``: of the group of both agents.
    """

    def __init__(
        self, table: KeyedTable, settings: StreamSettings, contiguity: Contiguity, committed: Committed
    ) -> None:
        self._table = table
        self._states = ParsedStates(table, Pair.from_json)
        self._partitions = settings.partitions
        self._contiguity = contiguity
        self._rules = Rules.of(settings)
        self._single_ms = self._rules.rest_ms + SINGLE_DAYS * DAY_MS
        self._sweep = Sweep(table, self._folded, 7 * DAY_MS)
        self._dropping = Dropping(
            table,
            committed,
            events=settings.topic(EVENTS.name),
            contributions=settings.topic(CONTRIBUTIONS.name),
            kept=settings.empty_pairs_kept,
        )

    async def __call__(self, batch: Sequence[Any]) -> None:
        """Apply the batch. Returns when its pairs are acknowledged."""
        touched: dict[bytes, tuple[Pair, Any]] = {}
        named: defaultdict[tuple[int, str], set[bytes]] = defaultdict(set)
        fenced = applied = 0
        for record, _, raw, latest_ms in facts_of(batch, self._contiguity, self._rules):
            c = contribution_of(raw, latest_ms)
            if c is None:
                continue
            if isinstance(c, ClientErasure):
                self._erase(c, record, touched, named)
                continue
            self._sweep.hear(record.message.partition, c.day * DAY_MS)
            key = pair_key(c.query, c.product_id)
            before = (
                touched[key][0]
                if key in touched
                else self._states.load(key) or Pair(query=c.query, product_id=c.product_id)
            )
            after = aggregate(before, c)
            fenced += after is before
            applied += after is not before
            touched[key] = (after, record)
            named[record.message.partition, c.client].add(key)
        for key, (pair, record) in touched.items():
            self._states.store(key, canonical(pair), pair, record)
        folded = self._sweep.run(batch)
        self._states.let_go(folded)
        metrics.FOLDED.inc(len(folded))
        dropped = await self._dropping.run(batch)
        self._states.let_go(dropped)
        metrics.DROPPED.inc(len(dropped))
        metrics.FENCED.labels("aggregate").inc(fenced)
        metrics.CONTRIBUTIONS.labels("applied").inc(applied)
        await self._table.flush()

    def _folded(self, stored: bytes, now_ms: int, _partition: int) -> bytes:
        through = (now_ms - self._single_ms) // DAY_MS
        return (
            canonical(fold_days(Pair.from_json(stored), through))
            if has_days_to_fold(stored, through)
            else stored
        )

    def _erase(
        self,
        erasure: ClientErasure,
        record: Any,
        touched: dict[bytes, tuple[Pair, Any]],
        named: Mapping[tuple[int, str], set[bytes]],
    ) -> None:
        """Erase a client from every pair of the record's partition.

        ``named``: those in which this batch has counted it.
        """
        here = record.message.partition
        hashes = (erasure.client, *erasure.others)
        keys = {
            key
            for client in hashes
            for key in (*self._table.holding(here, client.encode()), *named.get((here, client), ()))
        }
        for key in keys:
            before = touched[key][0] if key in touched else self._states.load(key)
            if before is None:
                continue
            after = erase_client(before, erasure)
            if after is not before:
                metrics.ERASED.inc()
                touched[key] = (after, record)

"""Intake: raw records become clean facts or dead letters, and only then is their offset committed.

Two loops, so that an event can wait for a product that was sent beside it: products to ``catalog``, searches
and interactions to ``events``. Neither keeps state of its own; a crash repeats records, which later steps
recognise by their ids.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import structlog

from broker.consuming import GroupConsumer, open_group
from broker.dead_letters import cut, dead_letter
from broker.guarding import judged
from broker.producing import Producer, open_producer
from broker.reading import open_reader
from broker.records import Outgoing, Record
from broker.safe_decoding import OVERSIZED
from inbound.validation import Ignored, Tombstone, validate_product
from inbound.validators import EVENT_VALIDATORS, Outcome
from schemas.decoding import refuse
from schemas.events import CleanInteraction, CleanSearch
from schemas.products import CatalogProduct
from schemas.rejections import Reason, Rejection
from schemas.settings import StreamSettings
from schemas.stream_groups import intake_group
from schemas.topics import CATALOG, EVENTS, PICTURES, PRODUCTS
from stream import metrics
from stream.known import KnownProducts
from stream.locating import has_unknown, locate_interaction, locate_search
from stream.packing import pack_by_key
from stream.pictured import carried, held_picture, with_outcome
from stream.rejoining import rejoin
from stream.versions import Held, numbered

log = structlog.get_logger(__name__)

STAGE = "intake"
# The group of products stands still for this long: what it has not written by then is not waited for.
STALLED_S = 30.0

Refused = tuple[Record, Rejection]


@dataclass
class Conservation:
    """What became of all records since the start: read = accepted + refused + ignored, for every topic."""

    topics: dict[str, dict[str, int]] = field(default_factory=dict)

    def count(self, topic: str, outcome: str, reason: str = "", times: int = 1) -> None:
        """Count records, after their effects are durable."""
        row = self.topics.setdefault(topic, {"read": 0, "accepted": 0, "refused": 0, "ignored": 0})
        row["read"] += times
        row[outcome] += times
        metrics.RECORDS.labels(topic, outcome, reason).inc(times)


class Intake:
    """Both loops and what they share. ``conservation`` is for the health page."""

    def __init__(
        self, settings: StreamSettings, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.conservation = Conservation()
        self._settings = settings
        self._clock = clock
        self._known = KnownProducts()
        self._settled_ends: dict[int, int] | None = None
        self._writing_products = asyncio.Lock()
        self._letters: Producer
        self._groups: list[GroupConsumer] = []

    async def run(self, ready: Callable[[bool], None]) -> None:
        """Take in records until cancelled.

        ``ready`` hears when the catalogue is known and both groups have taken it in.
        """
        s = self._settings
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._known.follow(s))
            producer = await stack.enter_async_context(open_producer(s, linger_ms=5, role="intake"))
            self._letters = await stack.enter_async_context(open_producer(s, role="letters", codec="gzip"))
            await self._known.catch_up()
            silence_ms = int(s.broker_session_timeout_s * 1000)
            products = await stack.enter_async_context(
                open_group(
                    s,
                    [s.topic(PRODUCTS.name)],
                    intake_group(s, "products"),
                    fetch_wait_ms=50,
                    session_timeout_ms=silence_ms,
                )
            )
            event_topics = [s.topic(name) for name in EVENT_VALIDATORS]
            events = await stack.enter_async_context(
                open_group(
                    s,
                    event_topics,
                    intake_group(s, "events"),
                    fetch_wait_ms=50,
                    session_timeout_ms=silence_ms,
                    in_order=True,
                )
            )
            self._groups = [products, events]
            tasks.create_task(self._take_products(products, producer))
            tasks.create_task(self._take_events(events, products, producer))
            if s.picture_hosts:
                tasks.create_task(self._take_pictures(products, producer))
            tasks.create_task(rejoin(s, self._known, producer, clock=self._clock))
            while True:
                ready(events.joined() and products.joined())
                await asyncio.sleep(0.5)

    def fault(self) -> str | None:
        """Return why nothing can be taken in from a raw topic, in words; None while all of them exist."""
        missing = [topic for group in self._groups for topic in group.missing()]
        return f"{', '.join(missing)} does not exist, so nothing is taken in from there" if missing else None

    async def _take_products(self, group: GroupConsumer, producer: Producer) -> None:
        while True:
            records = await group.batch(timeout_ms=200, max_records=self._settings.intake_batch)
            if records:
                async with self._writing_products:
                    await self._products_step(records, producer)
                await group.commit(records)
            else:
                await group.commit_read()

    async def _products_step(self, records: Sequence[Record], producer: Producer) -> None:
        await self._known.catch_up()  # another intake may have held these partitions until now
        topic = self._settings.topic(CATALOG.name)
        clean: list[Outgoing] = []
        refused: list[Refused] = []
        ignored = 0
        for record in records:
            outcome = judged(self._judged_product, record)
            if isinstance(outcome, Rejection):
                refused.append((record, outcome))
            elif isinstance(outcome, Ignored):
                ignored += 1
            elif isinstance(outcome, Tombstone):
                clean.append(Outgoing(topic, None, key=outcome.product_id.encode()))
                self._known.remove(outcome.product_id)
            else:
                product, value = outcome
                clean.append(Outgoing(topic, value, key=product.product_id.encode()))
                self._put(product)
        await producer.send_all(clean)
        await self._letters.send_all(map(_letter, refused), instead=cut)
        self._count(PRODUCTS.name, len(clean), refused, {"stale_version": ignored})

    def _judged_product(
        self, record: Record
    ) -> tuple[CatalogProduct, bytes] | Tombstone | Ignored | Rejection:
        found = _unread(record) or validate_product(record, self._settings)
        if not isinstance(found, CatalogProduct):
            return found
        held = self._known.held(found.product_id)
        product = numbered(carried(found, held), held)
        return (product, product.to_json()) if product is not None else Ignored("stale_version")

    def _put(self, product: CatalogProduct) -> None:
        picture = held_picture(product.image, product.image_key)
        self._known.put(
            product.product_id,
            Held(product.version, product.shop_version, product.place, picture, product.first_seen_ms),
            product.variant_ids,
        )

    async def _take_pictures(self, group: GroupConsumer, producer: Producer) -> None:
        """Apply what became of pictures, to the products that this intake alone writes.

        From the beginning of the topic under each assignment: what was applied applies no more.
        """
        s = self._settings
        while True:
            await group.settled()
            owned = group.assignment()
            mine = {tp.partition for tp in owned}
            async with open_reader(s, [s.topic(PICTURES.name)], fetch_wait_ms=200) as reader:
                while group.assignment() is owned:
                    records = await reader.poll(timeout_ms=500)
                    if records:
                        async with self._writing_products:
                            await self._pictures_step(records, mine, producer)

    async def _pictures_step(self, records: Sequence[Record], mine: set[int], producer: Producer) -> None:
        await self._known.catch_up()
        topic = self._settings.topic(CATALOG.name)
        clean: list[Outgoing] = []
        for record in records:
            product = judged(partial(self._judged_picture, mine), record)
            if isinstance(product, CatalogProduct):
                clean.append(Outgoing(topic, product.to_json(), key=product.product_id.encode()))
                self._put(product)
        await producer.send_all(clean)

    def _judged_picture(self, mine: set[int], record: Record) -> CatalogProduct | None:
        if record.value is None:
            return None
        outcome = CatalogProduct.from_json(record.value)
        if outcome.place is None or outcome.place[0] not in mine:
            return None
        return with_outcome(outcome, self._known.held(outcome.product_id))

    async def _take_events(self, group: GroupConsumer, products: GroupConsumer, producer: Producer) -> None:
        while True:
            records = await self._gather(group)
            if records:
                await self._events_step(records, products, producer)
                await group.commit(records)
            else:
                await group.commit_read()

    async def _gather(self, group: GroupConsumer) -> list[Record]:
        """Return a batch.

        After the first record it waits ``flush_ms`` for more, so that few large records are written.
        """
        most, loop = self._settings.intake_batch, asyncio.get_running_loop()
        records = await group.batch(timeout_ms=200, max_records=most)
        end = loop.time() + self._settings.flush_ms / 1000
        while records and len(records) < most and (left_ms := int((end - loop.time()) * 1000)) > 0:
            records += await group.batch(timeout_ms=left_ms, max_records=most - len(records))
        return records

    async def _events_step(
        self, records: Sequence[Record], products: GroupConsumer, producer: Producer
    ) -> None:
        s, now = self._settings, self._clock()
        names = {s.topic(name): name for name in EVENT_VALIDATORS}

        def judge(record: Record) -> Outcome:
            return _unread(record) or EVENT_VALIDATORS[names[record.topic]](record, now, s)

        outcomes = [(r, judged(judge, r)) for r in records]
        if has_unknown((o for _, o in outcomes), self._known):
            await self._await_products(products)
        facts: list[tuple[str, bytes]] = []
        letters: list[Outgoing] = []
        counts: dict[str, tuple[list[Refused], dict[str, int], list[int]]] = {}
        for record, outcome in outcomes:
            refused, ignored, accepted = counts.setdefault(names[record.topic], ([], {}, [0]))
            located = judged(partial(self._written, outcome), record)
            if isinstance(located, Rejection):
                refused.append((record, located))
                letters.append(_letter((record, located)))
            elif isinstance(located, Ignored):
                ignored[located.why] = ignored.get(located.why, 0) + 1
            else:
                facts.append(located)
                accepted[0] += 1
        await producer.send_all(pack_by_key(facts, s.topic(EVENTS.name), s.partitions))
        await self._letters.send_all(letters, instead=cut)
        for name, (refused, ignored, accepted) in counts.items():
            self._count(name, accepted[0], refused, ignored)

    def _written(self, outcome: Outcome, _: Record) -> tuple[str, bytes] | Rejection | Ignored:
        """Return the shopper of a fact and the fact as bytes, or why there is none."""
        located = self._locate(outcome)
        return located if isinstance(located, Rejection | Ignored) else (located.shopper, located.to_json())

    def _locate(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, CleanSearch):
            return locate_search(outcome, self._known)
        return locate_interaction(outcome, self._known) if isinstance(outcome, CleanInteraction) else outcome

    async def _await_products(self, products: GroupConsumer) -> None:
        """Return when every product that lay on ``products`` at the call is known, or will not be.

        Sent beside is sent before. Waits as long as the group of products moves on. Free of charge while
        nothing new has been sent since the last wait.
        """
        loop = asyncio.get_running_loop()
        topic = self._settings.topic(PRODUCTS.name)
        ends = await products.ends(topic)
        if ends == self._settled_ends:
            return
        seen: dict[int, int] = {}
        moved = loop.time()
        while True:
            done = await products.committed(topic, ends)
            if all(done[p] >= end for p, end in ends.items()):
                break
            if done != seen:
                seen, moved = done, loop.time()
            elif loop.time() - moved > STALLED_S:
                log.warning(
                    "products are not processed; events are validated without them",
                    behind=sum(ends.values()) - sum(done.values()),
                )
                break
            await asyncio.sleep(0.05)
        await self._known.catch_up()
        self._settled_ends = ends

    def _count(self, topic: str, accepted: int, refused: Sequence[Refused], ignored: dict[str, int]) -> None:
        self.conservation.count(topic, "accepted", times=accepted)
        for reason, times in Counter(rejection.reason.value for _, rejection in refused).items():
            self.conservation.count(topic, "refused", reason, times)
        for why, times in ignored.items():
            self.conservation.count(topic, "ignored", why, times)


def _unread(record: Record) -> Rejection | None:
    """Return the refusal of what stands for a batch that nobody unpacks."""
    found = record.header(OVERSIZED) if record.value is None and record.headers else None
    return (
        refuse(Reason.TOO_LARGE, message=found.decode(errors="replace")[:200]) if found is not None else None
    )


def _letter(refused: Refused) -> Outgoing:
    return dead_letter(*refused, stage=STAGE)

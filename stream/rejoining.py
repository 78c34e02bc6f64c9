"""Events of unknown products, joined again when their product arrives.

They wait as dead letters, so a crash loses none (ADR 0007). Reads the dead letters of ``interactions`` as a
group, holds those refused as ``unknown_product`` for ``pending_window``, and sends each back once all its
products are known. It keeps its place in the log behind the oldest that waits.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from broker.consuming import open_group
from broker.dead_letters import REPLAYED, again, reason_of
from broker.guarding import judged
from broker.producing import Producer
from broker.records import Outgoing, Record
from inbound.validation import validate_interaction
from schemas.events import CleanInteraction
from schemas.rejections import Reason, Rejection
from schemas.settings import StreamSettings
from schemas.topics import INTERACTIONS, dead_letter_name
from stream import metrics
from stream.known import KnownProducts

# More than so many letters are not held; the oldest are given up, and stay dead letters.
MAX_PENDING = 20_000
EVERY_S = 1.0


@dataclass
class Pending:
    """Letters in the order of their log.

    Pure: which go back, which are given up, and how far the log is done with.
    """

    known: KnownProducts
    settings: StreamSettings
    held: deque[tuple[Record, tuple[str, ...]]] = field(default_factory=deque)

    def take(self, letters: Sequence[Record], now: datetime) -> None:
        """Hold letters.

        One that is not waiting for a product is held without products, only for its place.
        """
        for letter in letters:
            products = judged(partial(self._products, now=now), letter)
            self.held.append((letter, () if isinstance(products, Rejection) else products))

    def due(self, now: datetime) -> list[Outgoing]:
        """Return what goes back now; those letters, and those too old or too many, wait no longer."""
        oldest = (now - self.settings.pending_window).timestamp() * 1000
        sent: list[Outgoing] = []
        for n, (letter, products) in enumerate(self.held):
            if not products:
                continue
            if all(self.known.find(product) for product in products):
                sent += [out for out in [again(letter)] if out is not None]
            elif letter.timestamp_ms >= oldest and len(self.held) - n <= MAX_PENDING:
                continue
            self.held[n] = (letter, ())
        return sent

    def done(self) -> list[Record]:
        """Return the letters before the first of their partition that still waits, and forget them.

        Their offsets can be committed.
        """
        waiting = {letter.partition for letter, products in self.held if products}
        done: list[Record] = []
        left: deque[tuple[Record, tuple[str, ...]]] = deque()
        blocked: set[int] = set()
        for letter, products in self.held:
            if products:
                blocked.add(letter.partition)
            if letter.partition in waiting and letter.partition in blocked:
                left.append((letter, products))
            else:
                done.append(letter)
        self.held = left
        return done

    @property
    def count(self) -> int:
        """How many letters wait."""
        return sum(1 for _, products in self.held if products)

    def _products(self, letter: Record, *, now: datetime) -> tuple[str, ...]:
        """Return the products a letter waits for.

        They are none at all when it was refused for another reason, or was sent again before.
        """
        if reason_of(letter) != Reason.UNKNOWN_PRODUCT or letter.header(REPLAYED):
            return ()
        outcome = validate_interaction(
            letter, now, self.settings.model_copy(update={"max_event_age": timedelta(days=36_500)})
        )
        return (
            tuple({line.product_id for line in outcome.lines})
            if isinstance(outcome, CleanInteraction)
            else ()
        )


async def rejoin(
    settings: StreamSettings,
    known: KnownProducts,
    producer: Producer,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Send letters back as their products arrive, until cancelled."""
    pending = Pending(known, settings)
    topic = settings.topic(dead_letter_name(INTERACTIONS.name))
    silence_ms = int(settings.broker_session_timeout_s * 1000)
    async with open_group(
        settings, [topic], f"{settings.topic_prefix}rejoin", session_timeout_ms=silence_ms
    ) as letters:
        while True:
            pending.take(await letters.batch(timeout_ms=200, max_records=1000), clock())
            sent = pending.due(clock())
            too_large = await producer.send_fitting(sent)  # those stay dead letters
            metrics.REJOINED.inc(len(sent) - len(too_large))
            metrics.PENDING.set(pending.count)
            done = pending.done()
            if done:
                await letters.commit(done)
            await asyncio.sleep(EVERY_S)

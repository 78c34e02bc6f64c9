"""What the micro-batches of a topic hold: which facts, which of them are ours, and whether any are missing.

No fact stops a step: what cannot be decoded, or is out of the bounds that its writer keeps, is counted and
left out.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from msgspec import DecodeError

from credit.shopper import DAY_MS, Rules
from schemas.batches import unpack
from schemas.bounds import LINE_MINOR, QUANTITY
from schemas.events import CleanEvent, CleanInteraction, read_clean_event
from schemas.pairs import ClientErasure, Contribution
from stream import metrics
from stream.contiguity import Contiguity

log = structlog.get_logger(__name__)


def facts_of(
    batch: Sequence[Any], contiguity: Contiguity, rules: Rules
) -> Iterator[tuple[Any, int, bytes, int]]:
    """Yield each record, and of each fact in it the index, the bytes and a time.

    That is the latest time in ms that it may speak of.
    """
    ahead_ms = rules.max_future_ms + DAY_MS  # a day, since no two clocks are the same
    for record in batch:
        message = record.message
        missed = contiguity.missed(message.topic, message.partition, message.offset)
        if missed:
            metrics.GAPS.labels(message.topic).inc(missed)
            log.error(
                "offsets missing between two records",
                topic=message.topic,
                partition=message.partition,
                before=message.offset,
                missed=missed,
            )
        latest_ms = int(message.timestamp * 1000) + ahead_ms  # faust counts in seconds
        for index, raw in unpack(record.value or b""):
            yield record, index, raw, latest_ms


def event_of(raw: bytes, latest_ms: int) -> CleanEvent | None:
    """Return what a fact of ``events`` says, or None, counted, when it is not ours.

    No intake writes what is out of bounds.
    """
    try:
        event = read_clean_event(raw)
    except DecodeError:
        event = None
    if (
        event is not None
        and event.at_ms <= latest_ms
        and (not isinstance(event, CleanInteraction) or _within_bounds(event))
    ):
        return event
    metrics.UNREADABLE.labels("events").inc()
    return None


def contribution_of(raw: bytes, latest_ms: int) -> Contribution | ClientErasure | None:
    """Return what a fact of ``contributions`` says, or None, counted, when it is not ours.

    Erasures are rare, so they are tried second.
    """
    try:
        c = Contribution.from_json(raw)
        if c.day * DAY_MS <= latest_ms and abs(c.units) <= QUANTITY and abs(c.revenue_minor) <= LINE_MINOR:
            return c
    except DecodeError:
        pass
    try:
        return ClientErasure.from_json(raw)
    except DecodeError:
        metrics.UNREADABLE.labels("contributions").inc()
        return None


def _within_bounds(event: CleanInteraction) -> bool:
    for line in event.lines:  # noqa: SIM110 (a generator takes twice as long)
        if not (0 < line.units <= QUANTITY and 0 <= line.revenue_minor <= LINE_MINOR):
            return False
    return True

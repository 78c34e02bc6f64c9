"""From a trace to what is told of an event. Pure.

A record is accepted, refused, ignored or still waits; an event has contributions, or a reason why it has
none.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import TypeAdapter

from broker.dead_letters import reason_of
from broker.guarding import judged
from broker.records import Record
from inbound.validation import Ignored
from inbound.validators import EVENT_VALIDATORS
from operations.event_names import origin
from operations.event_reading import SeenEvent, Trace
from schemas.base import UNREADABLE
from schemas.bounds import FIRST_EPOCH, LAST_EPOCH
from schemas.event_fate import CreditWritten, EventFate, EventTold, LetterSeen, RecordSeen
from schemas.events import CleanInteraction, CleanSearch
from schemas.pairs import client_of
from schemas.rejections import Problem, Rejection
from schemas.settings import IntakeRules
from schemas.topics import CONTRIBUTIONS, EVENTS

_PROBLEMS = TypeAdapter(list[Problem])


def fate_told(
    event_id: str,
    trace: Trace,
    settings: IntakeRules,
    taken_in: Mapping[tuple[str, int], int],
    *,
    salt: str | None,
) -> EventFate:
    """Return what became of an event.

    ``taken_in``: where intake goes on, by topic and partition. ``salt``: that of the hashes of shoppers, None
    where it is not known, and then no client is named.
    """
    return EventFate(
        event_id=event_id,
        raw=[_raw(record, settings, trace, taken_in) for record in trace.raw],
        dead_letters=[letter_seen(letter, settings.topic_prefix) for letter in trace.letters],
        events=[_event(one, trace, salt) for one in trace.events],
        read=trace.read,
        limits=trace.limits,
    )


def letter_seen(letter: Record, prefix: str = "") -> LetterSeen:
    """Return what a dead letter says; of problems that cannot be read, nothing."""
    was = origin(letter)
    try:
        problems = _PROBLEMS.validate_json(letter.header("dlq.errors") or b"[]")
    except UNREADABLE:
        problems = []
    return LetterSeen(
        topic=was.topic.removeprefix(prefix),
        partition=was.partition,
        offset=was.offset,
        letter_offset=letter.offset,
        reason=reason_of(letter),
        problems=problems,
    )


def moment_of(at_ms: int) -> datetime:
    """Return the time that a record claims, within what a datetime holds."""
    return datetime.fromtimestamp(max(FIRST_EPOCH, min(LAST_EPOCH, at_ms * 10**6)) / 10**9, UTC)


def _raw(
    record: Record, settings: IntakeRules, trace: Trace, taken_in: Mapping[tuple[str, int], int]
) -> RecordSeen:
    name = record.topic.removeprefix(settings.topic_prefix)
    waits = record.offset >= taken_in.get((record.topic, record.partition), 0)
    outcome, why = _outcome(record, name, settings, trace, waits=waits)
    return RecordSeen(
        topic=name,
        partition=record.partition,
        offset=record.offset,
        received_at=moment_of(record.timestamp_ms),
        outcome=outcome,
        why=why,
    )


def _outcome(
    record: Record, name: str, settings: IntakeRules, trace: Trace, *, waits: bool
) -> tuple[str, str]:
    """Return what became of a raw record and why.

    A reason that no topic tells any more is found by the rules of intake.
    """
    for letter in trace.letters:
        was = origin(letter)
        if (was.topic, was.partition, was.offset) == (record.topic, record.partition, record.offset):
            return "refused", reason_of(letter)
    if waits:
        return "waiting", "intake has not come to it"
    found = judged(lambda one: EVENT_VALIDATORS[name](one, moment_of(one.timestamp_ms), settings), record)
    if isinstance(found, Ignored):
        return "ignored", found.why
    if isinstance(found, Rejection):
        return "refused", found.reason.value
    unread = EVENTS.name in trace.cut
    gone = f"its event is {'not among what was read' if unread else 'no longer kept'}"
    return "accepted", "" if trace.events else gone


def _event(seen: SeenEvent, trace: Trace, salt: str | None) -> EventTold:
    event, place = seen.event, (seen.source, seen.position)
    story, found = trace.stories[place], trace.contributions.get(place, {})
    search = event if isinstance(event, CleanSearch) else None
    return EventTold(
        position=(seen.source, *seen.position),
        kind=event.action.value if isinstance(event, CleanInteraction) else event.kind,
        occurred_at=moment_of(event.at_ms),
        client=None if salt is None else client_of(event.shopper, salt),
        query=search.query if search else None,
        query_id=search.query_id if search else None,
        why=story.why,
        contributions=[
            CreditWritten(
                query=one.query,
                product_id=one.product_id,
                action=one.action,
                day=one.day,
                credit=one.credit,
                units=one.units,
            )
            for _, one in sorted(found.items())
        ],
        waiting=max(0, len(story.contributions) - len(found)),
        cut=CONTRIBUTIONS.name in trace.cut,
        now=story.now,
        led_to=story.led_to,
    )

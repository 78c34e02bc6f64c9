"""How good each producer's events are, counted from raw records and dead letters in any order. Pure.

A producer is called what its events say: the ``source`` of a CloudEvent, else ``application``.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from broker.dead_letters import reason_of
from broker.guarding import judged
from broker.records import Record
from inbound.envelope import decode
from schemas.bounds import NAME_CHARS
from schemas.decoding import load
from schemas.events import ACTION_ALIASES, Action, Interaction, Search
from schemas.producers import EventSample, ProducerDay, ProducersFound
from schemas.rejections import Reason, Rejection
from schemas.topics import INTERACTIONS, SEARCHES, dead_letter_name

UNNAMED = "unnamed"
OTHERS = "others"
# Anybody may send under any name.
MOST_PRODUCERS = 500
_SAMPLE_CHARS = 500
_AHEAD_MS = 60_000
_ACTIONS: Mapping[str, Action] = {**{action.value: action for action in Action}, **ACTION_ALIASES}
_SOON = frozenset({Action.CLICK, Action.VIEW})


@dataclass(frozen=True, slots=True)
class JoinWindows:
    """How long after its search an interaction may come: a click or a view, and all others."""

    click: timedelta
    purchase: timedelta


@dataclass(slots=True)
class _Day:
    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    delays_ms: list[int] = field(default_factory=list)
    samples: dict[str, EventSample] = field(default_factory=dict)

    def fault(self, name: str, record: Record, why: str) -> None:
        self.counts[name] += 1
        self.sample(name, record, why)

    def sample(self, name: str, record: Record, why: str) -> None:
        if name not in self.samples:
            value = (record.value or b"")[:_SAMPLE_CHARS].decode(errors="backslashreplace")
            place = (record.topic, record.partition, record.offset)
            self.samples[name] = EventSample(
                topic=place[0], partition=place[1], offset=place[2], value=value, why=why
            )


@dataclass(frozen=True, slots=True)
class _Named:
    """An interaction that names a query id: joined once all searches are read."""

    day: _Day
    record: Record
    query_id: str
    at_ms: int
    window_ms: int


class ProducerTally:
    """Feed it with records of ``searches`` and ``interactions``, and of their dead letters."""

    def __init__(self, prefix: str, windows: JoinWindows, *, max_bytes: int) -> None:
        self._windows = windows
        self._max_bytes = max_bytes
        self._days: defaultdict[tuple[str, date], _Day] = defaultdict(_Day)
        self._names: set[str] = {OTHERS}
        self._searched: dict[str, int] = {}
        self._searches_since_ms: int | None = None
        self._named: list[_Named] = []
        self._records = 0
        self._takes: Mapping[str, Callable[[Record], None]] = {
            prefix + SEARCHES.name: self._take_search,
            prefix + INTERACTIONS.name: self._take_interaction,
            prefix + dead_letter_name(SEARCHES.name): self._take_letter,
            prefix + dead_letter_name(INTERACTIONS.name): self._take_letter,
        }

    @property
    def topics(self) -> list[str]:
        """The topics that it is fed from, with their prefix."""
        return list(self._takes)

    def take(self, record: Record) -> None:
        """Take a record in. What intake refuses counts by its dead letter alone."""
        self._records += 1
        judged(self._takes[record.topic], record)

    def found(self, now: datetime, *, every_search: bool) -> ProducersFound:
        """Return what was counted. ``every_search``: all that the topic holds were read."""
        since_ms = 0 if every_search else self._searches_since_ms
        for one in self._named:
            self._join(one, since_ms)
        self._named = []
        order = sorted(self._days.items(), key=lambda item: (-item[0][1].toordinal(), item[0][0]))
        return ProducersFound(
            read_at=now,
            records=self._records,
            producers=[_told(producer, day, own) for (producer, day), own in order],
        )

    def _take_search(self, record: Record) -> None:
        decoded = decode(record, Search, max_bytes=self._max_bytes)
        if isinstance(decoded, Rejection):
            return
        search = decoded.message
        own = self._day(record, search.application)
        own.counts["searches"] += 1
        at_ms = self._timed(own, record, search.timestamp)
        self._searched[search.query_id] = at_ms
        oldest = self._searches_since_ms
        self._searches_since_ms = record.timestamp_ms if oldest is None else min(oldest, record.timestamp_ms)

    def _take_interaction(self, record: Record) -> None:
        decoded = decode(record, Interaction, max_bytes=self._max_bytes)
        action = None if isinstance(decoded, Rejection) else _ACTIONS.get(decoded.message.action_name)
        if isinstance(decoded, Rejection) or action is None:
            return
        act = decoded.message
        own = self._day(record, act.application)
        own.counts["interactions"] += 1
        at_ms = self._timed(own, record, act.timestamp)
        if action is Action.CLICK:
            own.counts["clicks"] += 1
            if not _has_position(act):
                own.fault("without_position", record, "a click without the position of its product")
        if action is Action.IMPRESSION:
            return
        query_id = act.query_id or next((item.query_id for item in act.items if item.query_id), None)
        if query_id is None:
            own.fault("unnamed", record, "no query_id: its search is guessed by shopper and time")
            return
        own.counts["named"] += 1
        window = self._windows.click if action in _SOON else self._windows.purchase
        self._named.append(_Named(own, record, query_id, at_ms, window // timedelta(milliseconds=1)))

    def _take_letter(self, letter: Record) -> None:
        fields = load(letter.value or b"")
        said: dict[str, Any] = {} if isinstance(fields, Rejection) else fields
        application = said.get("application")
        own = self._day(letter, application if isinstance(application, str) else None)
        reason = reason_of(letter)
        own.refused[reason] += 1
        own.sample(f"refused: {reason}", letter, f"refused for {reason.replace('_', ' ')}")

    def _join(self, one: _Named, since_ms: int | None) -> None:
        searched_ms = self._searched.get(one.query_id)
        if searched_ms is None:
            if since_ms is not None and one.at_ms - one.window_ms >= since_ms:
                one.day.fault("stale", one.record, f"no search has the query id {one.query_id}")
        elif one.at_ms - searched_ms > one.window_ms:
            hours = (one.at_ms - searched_ms) / 3_600_000
            one.day.fault("stale", one.record, f"its search was {hours:.1f} h before it")
        else:
            one.day.counts["joined"] += 1

    def _day(self, record: Record, application: str | None) -> _Day:
        name = _source(record) or application or UNNAMED
        name = name[:NAME_CHARS]
        if name not in self._names and len(self._names) > MOST_PRODUCERS:
            name = OTHERS
        self._names.add(name)
        return self._days[name, datetime.fromtimestamp(record.timestamp_ms / 1000, UTC).date()]

    def _timed(self, own: _Day, record: Record, timestamp: datetime) -> int:
        at = timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
        at_ms = int(at.timestamp() * 1000)
        own.delays_ms.append(record.timestamp_ms - at_ms)
        if at_ms > record.timestamp_ms + _AHEAD_MS:
            seconds = (at_ms - record.timestamp_ms) / 1000
            own.fault("ahead", record, f"timed {seconds:.0f} s after its record was written")
        return at_ms


def _source(record: Record) -> str | None:
    """Return the source of a CloudEvent: of its headers, or of the envelope around its body."""
    header = record.header("ce_source")
    if header is not None:
        return header.decode(errors="replace") or None
    if record.value is None or b'"specversion"' not in record.value:
        return None
    fields = load(record.value)
    source = None if isinstance(fields, Rejection) else fields.get("source")
    return source if isinstance(source, str) and "specversion" in fields else None


def _has_position(act: Interaction) -> bool:
    attributes = act.event_attributes
    if attributes and attributes.position and attributes.position.ordinal is not None:
        return True
    return bool(act.items) and all(item.ordinal is not None for item in act.items)


def _told(producer: str, day: date, own: _Day) -> ProducerDay:
    names = ("searches", "interactions", "named", "unnamed", "joined", "stale", "clicks", "without_position")
    judgeable = own.counts["joined"] + own.counts["stale"] + own.counts["unnamed"]
    return ProducerDay(
        producer=producer,
        day=day,
        join_rate=own.counts["joined"] / judgeable if judgeable else None,
        unknown_products=own.refused[Reason.UNKNOWN_PRODUCT.value],
        **{name: own.counts[name] for name in names},
        refused=dict(own.refused.most_common()),
        ahead=own.counts["ahead"],
        delay_median_s=_quantile_s(own.delays_ms, 0.5),
        delay_p95_s=_quantile_s(own.delays_ms, 0.95),
        samples=own.samples,
    )


def _quantile_s(delays_ms: Iterable[int], share: float) -> float | None:
    ordered = sorted(delays_ms)
    return ordered[int(share * (len(ordered) - 1))] / 1000 if ordered else None

"""What attribution remembers of one shopper, and its bytes.

Facts only, keyed so that inserting one twice changes nothing, plus what each has earned so far. Bounded by number and event time.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple, Self

from pydantic_core import from_json, to_json

from schemas.events import Action
from schemas.settings import StreamSettings

# (offset of the ``events`` record, index of the event in it)
Fence = tuple[int, int]
START: Fence = (-1, -1)
MINUTE_MS = 60_000
# How much later than newer events of the same shopper an event may come and still change everything it should.
LATENESS_MS = 60 * MINUTE_MS
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Rules:
    """Windows in milliseconds and bounds of one shopper's state."""

    click_ms: int
    purchase_ms: int
    session_ms: int
    max_searches: int
    max_touches: int
    max_touches_per_minute: int

    @classmethod
    def of(cls, settings: StreamSettings) -> Self:
        """Take the rules from the settings."""
        return cls(
            settings.click_window // _MS,
            settings.purchase_window // _MS,
            settings.session_gap // _MS,
            settings.max_searches,
            settings.max_touches,
            settings.max_touches_per_minute,
        )

    @property
    def retention_ms(self) -> int:
        """How far back facts are kept, from the newest event time of the shopper."""
        return self.purchase_ms + LATENESS_MS


class Credit(NamedTuple):
    """Which query a line belongs to. ``rate`` in thousandths; ``via`` the key of the fact that says so, ``""`` for none."""

    query: str
    rate: int
    via: str


class Earned(NamedTuple):
    """What a line has contributed so far, in total."""

    query: str
    day: int
    credit: int
    units: int
    revenue_minor: int


class SeenSearch(NamedTuple):
    """A search, keyed by query_id. Several with one id are one: the earliest, with all that any of them showed."""

    at_ms: int
    event_id: str
    query: str
    shown: tuple[str, ...]
    session: str | None


class Touch(NamedTuple):
    """A click, view, cart or removal of one product. Repeats with one query_id are one touch with a first and a last time."""

    product: str
    action: Action
    at_ms: int
    event_id: str
    last_ms: int
    query_id: str | None
    query: str | None
    session: str | None
    credit: Credit | None = None
    earned: Earned | None = None


class OrderLine(NamedTuple):
    """A bought product. ``number`` counts the lines of one product in one order from 0; ``query_ids`` is the line's, then the event's."""

    product: str
    order_id: str
    number: int
    at_ms: int
    event_id: str
    units: int
    revenue_minor: int
    query_ids: tuple[str, ...]
    query: str | None
    session: str | None
    credit: Credit | None = None
    earned: Earned | None = None


class Refund(NamedTuple):
    """Units of an order's product that came back."""

    product: str
    order_id: str
    units: int
    at_ms: int


@dataclass(slots=True)
class Shopper:
    """The state of one shopper. Treated as immutable: ``copy`` before a change.

    ``floor_ms``: interactions up to here may have been forgotten, so older ones are late. ``forgotten_ms``: the shopper has asked to be
    forgotten up to here, so whatever is older is late.
    """

    fence: Fence = START
    newest_ms: int = 0
    swept_ms: int = 0
    floor_ms: int = -1
    searches: dict[str, SeenSearch] = field(default_factory=dict)
    touches: dict[str, Touch] = field(default_factory=dict)
    lines: dict[str, OrderLine] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    evicted: int = 0
    late: int = 0
    forgotten_ms: int = -1

    def copy(self) -> "Shopper":
        """Return a state that can be changed without changing this one."""
        return Shopper(
            self.fence,
            self.newest_ms,
            self.swept_ms,
            self.floor_ms,
            dict(self.searches),
            dict(self.touches),
            dict(self.lines),
            dict(self.refunds),
            self.evicted,
            self.late,
            self.forgotten_ms,
        )

    def to_bytes(self) -> bytes:
        """Return the stored form. Its first line is the fence, so that recovery can compare two without parsing them."""
        facts = (self.searches, self.touches, self.lines, self.refunds)
        later = () if self.forgotten_ms < 0 else (self.forgotten_ms,)
        body = to_json((1, self.newest_ms, self.swept_ms, self.floor_ms, self.evicted, self.late, *facts, *later))
        return b"%d %d\n%b" % (*self.fence, body)


def shopper_from_bytes(stored: bytes) -> Shopper:
    """Read the stored form."""
    head, _, body = stored.partition(b"\n")
    offset, index = head.split(b" ")
    _, newest, swept, floor, evicted, late, searches, touches, lines, refunds, *later = from_json(body)
    return Shopper(
        fence=(int(offset), int(index)),
        newest_ms=newest,
        swept_ms=swept,
        floor_ms=floor,
        searches={k: SeenSearch(v[0], v[1], v[2], tuple(v[3]), v[4]) for k, v in searches.items()},
        touches={k: Touch._make((v[0], Action(v[1]), *v[2:8], _credit(v), _earned(v))) for k, v in touches.items()},
        lines={k: OrderLine._make((*v[:7], tuple(v[7]), *v[8:10], _credit(v), _earned(v))) for k, v in lines.items()},
        refunds={k: Refund(*v) for k, v in refunds.items()},
        evicted=evicted,
        late=late,
        forgotten_ms=later[0] if later else -1,
    )


def _credit(row: list[Any]) -> Credit | None:
    return Credit(*row[-2]) if row[-2] else None


def _earned(row: list[Any]) -> Earned | None:
    return Earned(*row[-1]) if row[-1] else None


def supersedes(new: bytes, old: bytes) -> bool:
    """Say whether ``new`` may replace ``old`` in recovery: its fence is at least as great."""
    return _fence(new) >= _fence(old)


def _fence(stored: bytes) -> Fence:
    offset, index = stored[: stored.index(b"\n")].split(b" ")
    return int(offset), int(index)

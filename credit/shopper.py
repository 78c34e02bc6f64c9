"""What attribution remembers of one shopper, and its bytes.

Facts only, keyed so that inserting one twice changes nothing, plus what each has earned so far. See
``credit.bounding`` for how much.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, NamedTuple, Self

import msgspec

from schemas.base import DAMAGED
from schemas.bounds import QUANTITY, SHOPPER_BYTES
from schemas.events import Action
from schemas.settings import AttributionRules, StreamSettings

# (place of the ``events`` record, see ``stream.epochs``; index of the event in it)
Fence = tuple[int, int]
START: Fence = (-1, -1)
MINUTE_MS = 60_000
DAY_MS = 86_400_000
# Between the parts of the key of a touch or an order line: no id holds it.
SEPARATOR = "\x1f"
# How much later than newer events of the same shopper an event may come and still change everything it
# should.
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
    max_event_age_ms: int
    max_future_ms: int
    max_bytes: int = SHOPPER_BYTES
    salt: str = ""
    salts_before: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: StreamSettings) -> Self:
        """Take the rules from the settings of the stream."""
        rules = cls.without_salt(settings)
        return replace(rules, salt=settings.client_salt, salts_before=settings.salts_before)

    @classmethod
    def without_salt(cls, settings: AttributionRules) -> Self:
        """Take what decides from the settings.

        The clients of contributions are then named by other hashes than those of the stream.
        """
        return cls(
            settings.click_window // _MS,
            settings.purchase_window // _MS,
            settings.session_gap // _MS,
            settings.max_searches,
            settings.max_touches,
            settings.max_touches_per_minute,
            settings.max_event_age // _MS,
            settings.max_future // _MS,
        )

    @property
    def retention_ms(self) -> int:
        """How far back facts are kept, from the newest event time of the shopper."""
        return self.purchase_ms + LATENESS_MS

    @property
    def rest_ms(self) -> int:
        """How far behind the newest event time of its partition a shopper is removed.

        What intake still accepts is then so much newer than all that is remembered that it would drop it
        first: a search or an interaction finds in the state nothing that could change what it earns.
        """
        return self.max_event_age_ms + self.max_future_ms + self.retention_ms + LATENESS_MS


class Credit(NamedTuple):
    """Which query a line belongs to.

    ``rate`` in thousandths, 0 where a rule had placed the product; ``via`` the key of the fact that says so,
    ``""`` for none.
    """

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
    """A search, keyed by query_id.

    Several with one id are one: the earliest, with all that any of them showed. ``placed``: those of
    ``shown`` that a rule put there in any of them.
    """

    at_ms: int
    event_id: str
    query: str
    shown: tuple[str, ...]
    session: str | None
    placed: tuple[str, ...] = ()


class Touch(NamedTuple):
    """A click, view, cart or removal of one product.

    Repeats with one query_id are one touch with a first and a last time.
    """

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

    def settled(self, credit: Credit | None, earned: Earned | None) -> "Touch":
        """Return the touch with what has been decided of it; ``_replace`` takes three times as long."""
        return Touch(*self[:8], credit, earned)


class OrderLine(NamedTuple):
    """A bought product.

    ``number`` counts the lines of one product in one order from 0; ``query_ids`` is the line's, then the
    event's.
    """

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
    """The state of one shopper.

    Facts are replaced, never changed; whoever changes the rest works on a ``copy`` of its own. ``floor_ms``:
    interactions up to here may have been forgotten, so older ones are late. ``forgotten_ms``: the shopper has
    asked to be forgotten up to here, so whatever is older is late. ``taken``: what the facts take at most
    when they are stored, in bytes; it is not stored, and says only when it is time to measure.
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
    taken: int = field(default=0, compare=False)

    def charge(self, key: str, fact: Any) -> None:
        """Count a fact that has been put in, also where it takes the place of another."""
        self.taken += len(_ENCODER.encode(fact)) + 6 * len(key) + 8

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
            self.taken,
        )

    def to_bytes(self) -> bytes:
        """Return the stored form.

        Its first line is the fence, so that recovery can compare two without parsing them.
        """
        facts = (self.searches, self.touches, self.lines, self.refunds)
        body = _Body(
            1,
            self.newest_ms,
            self.swept_ms,
            self.floor_ms,
            self.evicted,
            self.late,
            *facts,
            self.forgotten_ms,
        )
        return b"%d %d\n%b" % (*self.fence, _ENCODER.encode(body))


class _Body(msgspec.Struct, array_like=True, gc=False):
    """What is stored of a shopper beside its fence.

    Fields are told by their place: new ones come last, with a default.
    """

    version: int
    newest_ms: int
    swept_ms: int
    floor_ms: int
    evicted: int
    late: int
    searches: dict[str, SeenSearch]
    touches: dict[str, Touch]
    lines: dict[str, OrderLine]
    refunds: dict[str, Refund]
    forgotten_ms: int = -1


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Body)


def shopper_from_bytes(stored: bytes) -> Shopper:
    """Read the stored form."""
    head, _, raw = stored.partition(b"\n")
    offset, index = head.split(b" ")
    body = _DECODER.decode(raw)
    return Shopper(
        fence=(int(offset), int(index)),
        newest_ms=body.newest_ms,
        swept_ms=body.swept_ms,
        floor_ms=body.floor_ms,
        searches=body.searches,
        touches=body.touches,
        lines=body.lines,
        refunds=body.refunds,
        evicted=body.evicted,
        late=body.late,
        forgotten_ms=body.forgotten_ms,
        taken=len(stored),
    )


def stored_bytes(facts: Mapping[str, Any]) -> int:
    """Return how many bytes facts take in the stored form."""
    return len(_ENCODER.encode(facts))


def newest_of(stored: bytes) -> int:
    """Return the time of the newest event of a stored shopper, without parsing the rest."""
    return int(stored.split(b",", 2)[1])


def is_readable(stored: bytes) -> bool:
    """Say whether bytes are a stored shopper, of whom the functions here can read all they ask for."""
    try:
        lines = shopper_from_bytes(stored).lines.values()
        return (
            newest_of(stored) >= 0
            and fence_of(stored) >= START
            and all(0 < line.units <= QUANTITY for line in lines)
        )
    except (ValueError, IndexError, *DAMAGED):  # of msgspec's errors, too, every one is a ``ValueError``
        return False


def names_in(_stored: bytes) -> None:
    """Return None: a shopper is found by its key."""


def supersedes(new: bytes, old: bytes) -> bool:
    """Say whether ``new`` may replace ``old`` in recovery: its fence is at least as great."""
    return fence_of(new) >= fence_of(old)


def fence_of(stored: bytes) -> Fence:
    """Return the fence of a stored shopper, without parsing the rest."""
    offset, index = stored[: stored.index(b"\n")].split(b" ")
    return int(offset), int(index)

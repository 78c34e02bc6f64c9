"""What became of an event: what ``searchloop explain`` and the console tell of it."""

from enum import StrEnum

from schemas.base import ControlTime, Fact
from schemas.events import Action
from schemas.rejections import Problem


class Method(StrEnum):
    """By which rule a line is credited to a search, or why to none. The rules: ``credit.crediting``."""

    NAMED = "named"
    CART = "cart"
    TOUCHED = "touched"
    SHOWN = "shown"
    SESSION = "session"
    TEXT = "text"
    PLACED = "placed"
    NONE = "none"


class RecordSeen(Fact):
    """A raw record. ``outcome``: accepted, refused, ignored or waiting; ``why``: of a refusal the reason."""

    topic: str
    partition: int
    offset: int
    received_at: ControlTime
    outcome: str
    why: str


class LetterSeen(Fact):
    """A dead letter: where its record lay, and at which ``letter_offset`` of the dead letters it lies."""

    topic: str
    partition: int
    offset: int
    letter_offset: int
    reason: str
    problems: list[Problem]


class LineTold(Fact):
    """One product of an engagement, and the search that it belongs to now. ``event_id``: of the engagement.

    ``credit`` in thousandths, 0 where it earns nothing; it counts in the pair of ``query`` and product, on
    ``day`` (since 1970). ``search`` is the query id, None where the text alone is known; ``delay_s`` passed
    since that search.
    """

    event_id: str
    action: Action
    product_id: str
    query: str | None
    credit: int
    day: int | None = None
    method: Method
    search: str | None = None
    delay_s: float | None = None


class CreditWritten(Fact):
    """A contribution that the event caused, as it lies on ``contributions``; negative: taken back."""

    query: str
    product_id: str
    action: Action
    day: int
    credit: int
    units: int


class EventTold(Fact):
    """A clean event. ``position``: partition of ``events``, place and index in the record.

    ``why`` it earned what it earned when it came. ``now``: its lines; ``led_to``: of a search, the lines of
    others that belong to it. ``waiting`` contributions are not written yet, or with
    ``cut`` not among what was read.
    """

    position: tuple[int, int, int]
    kind: str
    occurred_at: ControlTime
    client: str | None = None
    query: str | None = None
    query_id: str | None = None
    why: str
    contributions: list[CreditWritten]
    waiting: int
    cut: bool = False
    now: list[LineTold]
    led_to: list[LineTold] = []


class EventFate(Fact):
    """All that topics tell of an event. ``read``: records looked at by topic.

    ``limits``: what was not looked at, in words; empty where everything was.
    """

    event_id: str
    raw: list[RecordSeen]
    dead_letters: list[LetterSeen]
    events: list[EventTold]
    read: dict[str, int]
    limits: list[str] = []

    @property
    def found(self) -> bool:
        """Whether anything was seen of it."""
        return bool(self.raw or self.dead_letters or self.events)

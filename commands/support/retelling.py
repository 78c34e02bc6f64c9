"""What became of one clean event, told again.

Its shopper's log goes through ``attribute`` once more, and the state is looked at. Pure. Exact as long as
``events`` still holds what the shopper's state held; windows and bounds are those of the rules given. Whether
a shopper had been put to rest before it asked to be forgotten is not told: then less was taken back line by
line, and pairs dropped the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from schemas.events import Action, CleanInteraction, CleanSearch, Forget
from schemas.pairs import Contribution
from stream.attribution import attribute
from stream.erasure import forget
from stream.shopper import Fence, OrderLine, Rules, Shopper, Touch

Told = CleanSearch | CleanInteraction | Forget


@dataclass
class Story:
    """Of one event: why it earned what it earned when it came.

    And what its lines have earned by the end of the log.
    """

    why: str
    contributions: list[Contribution] = field(default_factory=list)
    now: list[dict[str, object]] = field(default_factory=list)


class Retelling:
    """One shopper's log, event by event in its order.

    Memory: one shopper's state. ``wanted``: the positions to tell of.
    """

    def __init__(self, wanted: frozenset[Fence], source: int, rules: Rules) -> None:
        self._wanted, self._source, self._rules = wanted, source, rules
        self._state = Shopper()
        self._stories: dict[Fence, tuple[Told, Story]] = {}

    def take(self, position: Fence, event: Told) -> None:
        """Apply the next event."""
        before = self._state
        if isinstance(event, Forget):
            self._state, earned, _ = forget(before, event, self._source, position, self._rules)
        else:
            self._state, earned = attribute(before, event, self._source, position, self._rules)
        if position in self._wanted:
            self._stories[position] = (event, Story(_why(before, event, self._state, earned), earned))

    def stories(self) -> Mapping[Fence, Story]:
        """Return the story of each wanted position that has been taken in."""
        return {place: self._ended(event, story) for place, (event, story) in self._stories.items()}

    def _ended(self, event: Told, story: Story) -> Story:
        forgotten = (
            event.at_ms <= self._state.forgotten_ms
            and not isinstance(event, Forget)
            and not story.why.startswith("late")
        )
        since = "; the shopper has been forgotten since" if forgotten else ""
        return replace(story, why=story.why + since, now=_standing(self._state, event.event_id))


def _why(  # noqa: PLR0911 - one return per answer
    before: Shopper,
    event: CleanSearch | CleanInteraction | Forget,
    after: Shopper,
    earned: list[Contribution],
) -> str:
    if isinstance(event, Forget):
        return f"took back {len(earned)} credits; every pair drops the client"
    if after.late > before.late:
        since = (
            "the shopper has asked to be forgotten"
            if event.at_ms <= before.forgotten_ms
            else "its time has been forgotten"
        )
        return f"late: {since}, so it counts nothing"
    if earned:
        return "credited" if all(c.credit > 0 for c in earned) else "changed what had been credited"
    if isinstance(event, CleanSearch):
        return "a search earns nothing itself; nothing that is remembered belongs to it yet"
    if event.action is Action.IMPRESSION:
        return "an impression earns nothing"
    if event.action in {Action.REFUND, Action.REMOVE_FROM_CART}:
        return f"a {event.action.value} earns nothing itself; there was nothing to take back"
    own = _standing(after, event.event_id)
    if not own:
        return "repeated: the same engagement had been counted before"
    if any(t.credit and not t.credit.rate for t in _held(after, event.event_id)):
        return "a rule had placed the product where it was shown, so it earns nothing"
    if any(line["query"] is not None for line in own):
        return "it belongs to a search and counts no second time, or was taken back"
    return _uncredited(after, event.event_id)


def _uncredited(after: Shopper, event_id: str) -> str:
    named = {q for x in _held(after, event_id) for q in _named_by(x)}
    if any(q in after.searches for q in named):
        return (
            "the search that it names is known, but did not show the product within its window before it, "
            "and no other did; put all products that the shopper saw into query_response_hit_ids"
        )
    return (
        "when it came, no search of this shopper was known that it names, or that showed the product "
        "within its window"
    )


def _named_by(held: Touch | OrderLine) -> tuple[str, ...]:
    if isinstance(held, Touch):
        return (held.query_id,) if held.query_id else ()
    return held.query_ids


def _standing(state: Shopper, event_id: str) -> list[dict[str, object]]:
    """Return what is remembered of an event's lines.

    Product, query (None: no search known), credit in thousandths. Of repeats, the earliest alone is
    remembered.
    """
    return [
        {
            "product_id": t.product,
            "query": t.credit.query if t.credit else None,
            "credit": t.earned.credit if t.earned else 0,
        }
        for t in _held(state, event_id)
    ]


def _held(state: Shopper, event_id: str) -> list[Touch | OrderLine]:
    held: list[Touch | OrderLine] = [*state.touches.values(), *state.lines.values()]
    return [t for t in held if t.event_id == event_id]

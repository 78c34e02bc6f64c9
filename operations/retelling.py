"""What became of one clean event, told again.

Its shopper's log goes through ``attribute`` once more, and the state is looked at. Pure. Exact as long as
the log that is told holds what the shopper's state held; windows and bounds are those of the rules given.
Whether a shopper had been put to rest before it asked to be forgotten is not told: then less was taken back
line by line, and pairs dropped the rest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from credit.attribution import attribute, crowded_minutes
from credit.crediting import method_of, search_of
from credit.erasure import forget
from credit.shopper import MINUTE_MS, Fence, OrderLine, Rules, Shopper, Touch
from schemas.event_fate import LineTold
from schemas.events import Action, CleanInteraction, CleanSearch, Forget
from schemas.pairs import Contribution

Told = CleanSearch | CleanInteraction | Forget
_TOUCHES = frozenset({Action.CLICK, Action.VIEW, Action.ADD_TO_CART})


@dataclass
class Story:
    """Of one event: why it earned what it earned when it came.

    And what its lines are by the end of the log; ``led_to``: of a search, the lines that belong to it.
    """

    why: str
    contributions: list[Contribution] = field(default_factory=list)
    now: list[LineTold] = field(default_factory=list)
    led_to: list[LineTold] = field(default_factory=list)


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
            why = _why(before, event, self._state, earned, self._rules)
            self._stories[position] = (event, Story(why, earned))

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
        lines = [told(one, self._state) for one in _held(self._state)]
        named = event.query_id if isinstance(event, CleanSearch) else None
        return replace(
            story,
            why=story.why + since,
            now=[line for line in lines if line.event_id == event.event_id],
            led_to=[line for line in lines if named is not None and line.search == named],
        )


def told(held: Touch | OrderLine, state: Shopper) -> LineTold:
    """Return what is remembered of a line. Of repeats, the earliest alone is remembered."""
    query_id = search_of(held.credit, state.touches)
    search = state.searches.get(query_id) if query_id is not None else None
    return LineTold(
        event_id=held.event_id,
        action=held.action if isinstance(held, Touch) else Action.PURCHASE,
        product_id=held.product,
        query=held.credit.query if held.credit else None,
        credit=held.earned.credit if held.earned else 0,
        day=held.earned.day if held.earned else None,
        method=method_of(held.credit),
        search=query_id,
        delay_s=(held.at_ms - search.at_ms) / 1000 if search else None,
    )


def _why(
    before: Shopper,
    event: CleanSearch | CleanInteraction | Forget,
    after: Shopper,
    earned: list[Contribution],
    rules: Rules,
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
    crowded = event.at_ms // MINUTE_MS in crowded_minutes(after, rules)
    if isinstance(event, CleanInteraction) and event.action in _TOUCHES and crowded:
        return (
            f"a robot's: the shopper has more than {rules.max_touches_per_minute} clicks, views and carts in "
            "this minute, so none of them counts"
        )
    if earned:
        return "credited" if all(c.credit > 0 for c in earned) else "changed what had been credited"
    if isinstance(event, CleanSearch):
        return "a search earns nothing itself; nothing that is remembered belongs to it yet"
    return _why_nothing(before, event, after)


def _why_nothing(before: Shopper, event: CleanInteraction, after: Shopper) -> str:
    if event.action is Action.IMPRESSION:
        return "an impression earns nothing"
    if event.action in {Action.REFUND, Action.REMOVE_FROM_CART}:
        return f"a {event.action.value} earns nothing itself; there was nothing to take back"
    own = [one for one in _held(after) if one.event_id == event.event_id]
    if not own:
        return _repeated(before, event)
    if any(one.credit and not one.credit.rate for one in own):
        return "a rule had placed the product where it was shown, so it earns nothing"
    if any(one.credit for one in own):
        return "it belongs to a search and counts no second time, or was taken back"
    return _uncredited(after, own)


def _repeated(before: Shopper, event: CleanInteraction) -> str:
    products = {line.product_id for line in event.lines}
    same = [
        one.event_id
        for one in _held(before)
        if one.product in products
        and (isinstance(one, OrderLine) if event.action is Action.PURCHASE else _is_touch(one, event.action))
    ]
    by = f", as event {same[0]}" if len(set(same)) == 1 else ""
    return f"repeated: the same engagement had been counted before{by}"


def _is_touch(held: Touch | OrderLine, action: Action) -> bool:
    return isinstance(held, Touch) and held.action is action


def _uncredited(after: Shopper, own: list[Touch | OrderLine]) -> str:
    named = {query_id for one in own for query_id in _named_by(one)}
    if any(query_id in after.searches for query_id in named):
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


def _held(state: Shopper) -> Iterator[Touch | OrderLine]:
    yield from state.touches.values()
    yield from state.lines.values()

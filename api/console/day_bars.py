"""Credit by day and action as bars that templates draw. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.events import Action
from schemas.pairs import LAST_CALENDAR_DAY, Pair, day_text

WIDE, TALL = 640.0, 140.0
# A gap between two bars, as a share of a bar's place.
_GAP = 0.15


@dataclass(frozen=True)
class DayPart:
    """The credit of an action on a day, as a piece of the bar of the day; ``place`` is that of its colour."""

    day: str
    action: str
    credit: float
    place: int
    x: float
    y: float
    wide: float
    tall: float


@dataclass(frozen=True)
class DayBars:
    """Bars of every day from ``first`` to ``last``; ``greatest`` is the credit of the tallest."""

    parts: Sequence[DayPart]
    actions: Sequence[str]
    first: str
    last: str
    greatest: float
    wide: float = WIDE
    tall: float = TALL


def day_bars(pairs: Iterable[Pair]) -> DayBars | None:
    """Return what the pairs earned by day, all together; None where nothing has a day of the calendar.

    What was taken back is not drawn: a bar is what is left, and none where that is nothing.
    """
    earned = Counter[tuple[int, Action]]()
    for pair in pairs:
        for day, actions in pair.days.items():
            for action, (credit, _, _) in actions.items():
                earned[day, action] += credit
    kept = sorted(
        (day, action, credit)
        for (day, action), credit in earned.items()
        if credit > 0 and 0 <= day <= LAST_CALENDAR_DAY
    )
    if not kept:
        return None
    whole = Counter[int]()
    for day, _, credit in kept:
        whole[day] += credit
    first, last, greatest = min(whole), max(whole), max(whole.values())
    names = [action.value for action in Action if any(action is own for _, own, _ in kept)]
    step, reached, parts = WIDE / (last - first + 1), Counter[int](), list[DayPart]()
    for day, action, credit in kept:
        reached[day] += credit
        parts.append(
            DayPart(
                day=day_text(day), action=action.value, credit=credit / 1000, place=names.index(action.value),
                x=round((day - first + _GAP / 2) * step, 1), y=round(TALL * (1 - reached[day] / greatest), 1),
                wide=round(step * (1 - _GAP), 1), tall=round(TALL * credit / greatest, 1),
            )
        )  # fmt: skip
    return DayBars(parts, names, day_text(first), day_text(last), greatest / 1000)

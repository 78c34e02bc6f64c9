"""What became of an event in plain words. Pure."""

from collections import Counter
from collections.abc import Mapping

from schemas.event_fate import EventFate, EventTold, LineTold, Method
from schemas.pairs import day_text

METHODS: Mapping[Method, str] = {
    Method.NAMED: "it names the search by its query id",
    Method.CART: "a cart of the product stood, which belongs to the search",
    Method.TOUCHED: "the shopper's latest click or view of the product belongs to the search",
    Method.SHOWN: "the shopper's latest search that showed the product",
    Method.SESSION: "the latest search of the session that showed the product",
    Method.TEXT: "it names a search that is not known, so by the text it carries",
    Method.PLACED: "a rule had placed the product there, so it earns nothing",
    Method.NONE: "no search",
}

_OUTCOMES: Mapping[str, str] = {
    "accepted": "It was accepted; {}.",
    "ignored": "It is good and must not count: {}.",
    "refused": "It was refused: {}.",
    "waiting": "It has come; {} yet.",
}


def in_a_sentence(fate: EventFate) -> str:
    """Return the answer, in one sentence."""
    if fate.events:
        return _told(fate.events[0])
    if fate.raw:
        last = fate.raw[-1]
        return _OUTCOMES[last.outcome].format(_words(last.why))
    if fate.dead_letters:
        return _OUTCOMES["refused"].format(_words(fate.dead_letters[0].reason))
    return "Nothing is known of it in what was read."


def line_in_words(line: LineTold) -> str:
    """Return to which search a line belongs, by which rule, how long after it, and where it counts."""
    if line.query is None:
        return f"{_words(line.action.value)} of {line.product_id}: belongs to no search"
    after = "" if line.delay_s is None else f", {duration(line.delay_s)}"
    search = f" (search {line.search}{after})" if line.search else ""
    counts = "earns nothing" if line.day is None else f"counts {line.credit / 1000:g} on {day_text(line.day)}"
    what = f"{_words(line.action.value)} of {line.product_id}"
    return f"{what}: belongs to {line.query!r}{search}, {METHODS[line.method]}; {counts}"


def duration(seconds: float) -> str:
    """Return how long an engagement came after its search, in one unit.

    >>> [duration(s) for s in (4.2, 300, 7200, 200_000, -3)]
    ['4.2 s after it', '5 min after it', '2 h after it', '2.31 days after it', '3 s before it, by its clock']
    """
    for unit, length in ((" days", 86_400), (" h", 3600), (" min", 60)):
        if abs(seconds) >= 2 * length:
            return f"{abs(seconds) / length:.3g}{unit} {_side(seconds)}"
    return f"{abs(seconds):.3g} s {_side(seconds)}"


def _side(seconds: float) -> str:
    return "after it" if seconds >= 0 else "before it, by its clock"


def _told(event: EventTold) -> str:
    if event.kind == "forget":
        return f"A wish to forget a shopper, accepted: {event.why}."
    if event.kind == "search":
        if not event.led_to:
            return f"A search for {event.query!r}, accepted; nothing that its shopper did belongs to it."
        counts = Counter(_words(line.action.value) for line in event.led_to)
        what = ", ".join(f"{n} x {name}" for name, n in sorted(counts.items()))
        return f"A search for {event.query!r}, accepted; to it belong: {what}."
    name = f"{_words(event.kind).capitalize()}, accepted"
    earned = [line for line in event.now if line.day is not None]
    if not earned:
        return f"{name}; it counts nothing: {event.why}."
    pairs = ", ".join(f"{line.credit / 1000:g} for {line.query!r} and {line.product_id}" for line in earned)
    return f"{name}; it counts {pairs}."


def _words(name: str) -> str:
    return name.replace("_", " ")

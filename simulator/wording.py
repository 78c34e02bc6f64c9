"""How a shopper words an intent: slang, plain or formal words, in some order, with typos.

Decides the text of a query. It knows nothing of products: whether anything is found is not its concern.
"""

from dataclasses import dataclass
from random import Random

from simulator.intents import Intent
from simulator.lexicon import Lexicon

_ORDER = ("brand", "line", "feature", "colour", "type")
_SHUFFLED = 0.2
_TYPO = 0.04
_SHOUTED = 0.08
_SHORTEST_TYPO = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """A shopper's way with words: the chance of slang, and of formal words where it is not slang.

    The rest is plain.
    """

    slang: float
    formal: float


def draw_style(rng: Random) -> Style:
    """Draw the style of one shopper: most speak the shop's slang often, some hardly ever."""
    return Style(slang=rng.betavariate(2.5, 2.2), formal=rng.betavariate(2.0, 3.0))


def word_intent(intent: Intent, style: Style, lex: Lexicon, *, week: int, rng: Random) -> str:
    """Return the query text, raw as typed: it may hold typos, capitals and a doubled space, never nothing."""
    parts = [
        _word(concept, style, lex, week=week, rng=rng) for concept in sorted(intent.concepts, key=_place)
    ]
    if rng.random() < _SHUFFLED:
        rng.shuffle(parts)
    tokens = [
        _typo(t, rng) if len(t) >= _SHORTEST_TYPO and rng.random() < _TYPO else t
        for part in parts
        for t in part.split()
    ]
    text = " ".join(tokens)
    if rng.random() < _SHOUTED:
        return rng.choice((text.title(), text.upper(), text.replace(" ", "  ", 1)))
    return text


def _place(concept: str) -> int:
    return _ORDER.index(concept.split(":", 1)[0])


def _word(concept: str, style: Style, lex: Lexicon, *, week: int, rng: Random) -> str:
    words = lex.words[concept]
    slang = words.slang_in(week)
    if slang and rng.random() < style.slang:
        # The newest word is the fashion: it takes half of the slang from the week it comes up.
        return slang[-1] if rng.random() < 1 / 2 else rng.choice(slang)
    if words.plain and rng.random() >= style.formal:
        return rng.choice(words.plain)
    return words.formal.lower()


def _typo(word: str, rng: Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    return rng.choice((
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
    ))  # fmt: skip

"""The concepts of the shop and the words for each.

Formal in titles, plain for everybody, slang that only this shop's customers use. A concept is a key such as
``type:Combi Drill`` or ``line:Corvid``. Slang has a first week: new nicknames appear while the shop runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from simulator.brand_names import BRANDS, LINES, NICKNAMES
from simulator.vocabulary import COLOURS, DEPARTMENTS, FEATURES, TYPES

LINES_PER_BRAND = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """The words for one concept.

    ``slang`` pairs each word with the first week (from 0) in which it is used.
    """

    formal: str
    plain: tuple[str, ...] = ()
    slang: tuple[tuple[str, int], ...] = ()

    def slang_in(self, week: int) -> tuple[str, ...]:
        """Return the slang that shoppers know in ``week``, the newest word last; often empty."""
        return tuple(word for word, since in self.slang if since <= week)


@dataclass(frozen=True, kw_only=True, slots=True)
class Department:
    """One department: its concept keys by kind, and the price range in major units.

    ``lines`` are (brand, line) keys.
    """

    name: str
    types: tuple[str, ...]
    features: tuple[str, ...]
    lines: tuple[tuple[str, str], ...]
    prices: tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lexicon:
    """All departments, the colours they share, and the words for every concept."""

    departments: tuple[Department, ...]
    colours: tuple[str, ...]
    words: dict[str, Words]


@cache
def lexicon() -> Lexicon:
    """Return the one lexicon; the same object every time."""
    words: dict[str, Words] = {}
    colours = tuple(_read(COLOURS, "colour", words))
    departments = []
    series = zip(LINES.split(), NICKNAMES.split(), strict=True)
    for row in _rows(DEPARTMENTS):
        name, low, high = row
        lines = []
        for cell in BRANDS[name].split(","):
            brand, nickname = (part.strip() for part in cell.split("|"))
            words[f"brand:{brand}"] = Words(formal=brand, slang=((nickname, 0),))
            for _ in range(LINES_PER_BRAND):
                line, nick = next(series)
                words[f"line:{line}"] = Words(formal=line, slang=((nick, _first_week(nick)),))
                lines.append((f"brand:{brand}", f"line:{line}"))
        departments.append(
            Department(
                name=name,
                types=tuple(_read(TYPES[name], "type", words)),
                features=tuple(_read(FEATURES[name], "feature", words)),
                lines=tuple(lines),
                prices=(float(low), float(high)),
            )
        )
    return Lexicon(departments=tuple(departments), colours=colours, words=words)


def _rows(table: str) -> Iterator[list[str]]:
    for row in table.strip().splitlines():
        yield [cell.strip() for cell in row.split("|")]


def _read(table: str, kind: str, words: dict[str, Words]) -> Iterator[str]:
    for formal, plain, slang in _rows(table):
        nicknames = [word.strip() for word in slang.split(",")]
        # A second slang word is a fashion of the second week.
        firsts = [0, *(1 for _ in pairwise(nicknames))]
        words[f"{kind}:{formal}"] = Words(
            formal=formal,
            plain=tuple(word.strip() for word in plain.split(",")),
            slang=tuple(zip(nicknames, firsts, strict=True)),
        )
        yield f"{kind}:{formal}"


def _first_week(nickname: str) -> int:
    """Return the week in which a line's nickname comes up.

    Every fifth letter sum is a latecomer, of week 1 or 2.
    """
    total = sum(map(ord, nickname))
    return 1 + total % 2 if total % 5 == 0 else 0

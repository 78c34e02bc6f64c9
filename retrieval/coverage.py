"""How much of what a query asks for stands in the texts of a catalogue that changes.

A sum over the words that match (BM25) makes up for a missing word by others; here each missing one tells. The
value is the share of the query's words that a text has, each weighed by the root of its rarity (smoothed idf
over the texts that are there), to the power of ``SHARPNESS``: from 0 to 1. A word also stands there where it
is run together with its neighbour, and where no text of the catalogue has it, by its two halves or by the
catalogue's words that differ in one letter (Damerau 1964). Pure; the texts come from ``words``.
"""

import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import pairwise

from retrieval.known_texts import KnownTexts

SHARPNESS = 4
NEAR_WORDS = 3  # of the catalogue for one of the query that it lacks: the most frequent
REPAIRED = 8  # words of a query that are looked for otherwise
SHORTEST, LONGEST = 4, 20  # letters of a word that may be misspelt
MOST_WORDS = 64  # of a query
LETTERS = 40  # of the catalogue that may be missing in a word: the most frequent

Words = tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """What a query asks for: of each of its words the share, and the ways to write it.

    The shares sum to 1. A way is the words that must all be there. ``words``: all of all ways; ``otherwise``:
    there are other ways than the query's own.
    """

    shares: list[float]
    ways: list[list[Words]]
    words: frozenset[str]
    otherwise: bool

    def value(self, met: frozenset[str]) -> float:
        """Return the value of a text that has these of ``words``."""
        words = zip(self.shares, self.ways, strict=True)
        there = sum(share for share, ways in words if any(met.issuperset(way) for way in ways))
        return float(there**SHARPNESS)


class Coverage:
    """The words of the texts that are there. May be shared by threads; one writer at a time."""

    def __init__(
        self, texts: Callable[[Sequence[int]], Mapping[int, str]], words_of: Callable[[str], Sequence[str]]
    ) -> None:
        """``texts``: asked for the texts of documents, by number; ``words_of``: how a text becomes words."""
        self._words_of = words_of
        self._known = KnownTexts(texts, lambda read: [self._read(text) for text in read])
        self._frequency: dict[str, int] = {}
        self._letters: Counter[str] = Counter()
        self._count = 0

    def enter(self, documents: Mapping[int, str]) -> None:
        """Count documents, by number."""
        read = {number: self._read(text) for number, text in documents.items()}
        for words in read.values():
            for word in words:
                before = self._frequency.get(word, 0)
                self._frequency[word] = before + 1
                if not before:
                    self._letters.update(word)
        self._count += len(read)
        self._known.enter(read)

    def leave(self, numbers: Sequence[int]) -> None:
        """Count documents no longer. To be said while their texts are still there."""
        left = self._known.of(numbers)
        for words in left.values():
            for word in words:
                if self._frequency[word] > 1:
                    self._frequency[word] -= 1
                else:
                    del self._frequency[word]
                    self._letters.subtract(word)
        self._count -= len(left)
        self._known.leave(left)

    def wanted(self, query: str) -> Wanted:
        """Return what a query asks for."""
        written = [(raw, self._words_of(raw)) for raw in re.findall(r"\w+", query)[:MOST_WORDS]]
        written = [(raw, words) for raw, words in written if words]
        ways: dict[str, list[Words]] = {}
        repaired = 0
        for place, (raw, words) in enumerate(written):
            for word in words:
                own = ways.setdefault(word, [(word,)])
                if len(words) > 1:
                    continue
                own += self._joined(written, place)
                if word not in self._frequency and repaired < REPAIRED:
                    repaired += 1
                    own += self._halves(raw)
                    own += [(near,) for near in self._near(word)]
        roots = [math.sqrt(self._rarity(own)) for own in ways.values()]
        return Wanted(
            [root / sum(roots) for root in roots],
            list(ways.values()),
            frozenset(word for own in ways.values() for way in own for word in way),
            any(len(own) > 1 for own in ways.values()),
        )

    def values(self, wanted: Wanted, numbers: Sequence[int]) -> dict[int, float]:
        """Return how much of it each of the documents has; 0 is left out."""
        value: dict[frozenset[str], float] = {}
        found = {}
        for number, words in self._known.of(numbers).items():
            met = wanted.words.intersection(words)
            if met not in value:
                value[met] = wanted.value(met)
            if value[met] > 0:
                found[number] = value[met]
        return found

    def _read(self, text: str) -> Words:
        return tuple(map(sys.intern, sorted(set(self._words_of(text)))))

    def _rarity(self, ways: Sequence[Words]) -> float:
        """Return the idf of a word; of one that is only there otherwise, that of the rarest way."""
        known = [word for word in ways[0] if word in self._frequency]
        known = known or [word for way in ways for word in way if word in self._frequency]
        count = min((self._frequency.get(word, 0) for word in known), default=0)
        return math.log1p((max(0, self._count - count) + 0.5) / (count + 0.5))  # in a change they may differ

    def _joined(self, written: Sequence[tuple[str, Sequence[str]]], place: int) -> Iterator[Words]:
        """Yield the word with the one before it, and with the one after it, where the catalogue has that."""
        for (first, _), (second, _) in pairwise(written[max(place - 1, 0) : place + 2]):
            joined = tuple(self._words_of(first + second))
            if len(joined) == 1 and joined[0] in self._frequency and not _numbers(first, second):
                yield joined

    def _halves(self, raw: str) -> list[Words]:
        """Return the two words of the catalogue that a word is made of, if it is; the most frequent ones."""
        best, found = 0, list[Words]()
        for cut in range(1, min(len(raw), 2 * LONGEST)):
            both = raw[:cut], raw[cut:]
            words = tuple(word for half in both for word in self._words_of(half))
            least = min((self._frequency.get(word, 0) for word in words), default=0)
            said = len(words) == len(both) and all(len(half) > 1 or half.isdigit() for half in both)
            if said and least > best and not _numbers(*both):
                best, found = least, [words]
        return found

    def _near(self, word: str) -> list[str]:
        """Return the words of the catalogue that differ in one letter or two that changed places."""
        if not (SHORTEST <= len(word) <= LONGEST and word.isalpha()):
            return []
        near = {other for other in _edits(word, self._alphabet()) if other in self._frequency}
        return sorted(near, key=lambda other: (-self._frequency.get(other, 0), other))[:NEAR_WORDS]

    def _alphabet(self) -> list[str]:
        """Return the letters that may be missing in a word, the most frequent first, ties by letter."""
        letters = list(self._letters.items())  # at once: a change may come while they are sorted
        return [letter for letter, _ in nsmallest(LETTERS, letters, key=lambda one: (-one[1], one[0]))]


def _numbers(first: str, second: str) -> bool:
    """Say whether together they would be one number."""
    return first[-1:].isdigit() and second[:1].isdigit()


def _edits(word: str, letters: Sequence[str]) -> Iterator[str]:
    """Yield what one edit makes of a word: a letter left out, swapped with the next, replaced or put in."""
    for place in range(len(word) + 1):
        head, tail = word[:place], word[place:]
        if tail:
            yield head + tail[1:]
            yield from (head + letter + tail[1:] for letter in letters)
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        yield from (head + letter + tail for letter in letters)

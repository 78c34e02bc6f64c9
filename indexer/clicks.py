"""Count, per generation, the searches that showed something and those that were clicked, out of the clean events. Bounded.

Only searches that our searchers have answered name a generation. A search counts once it had ``MATURE_S`` to be clicked, not before:
else a new generation, whose searches are all young, would always look bad.
"""

import json
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from indexer.click_test import Clicked
from schemas.batches import unpack
from schemas.events import Action

MATURE_S = 120.0
REMEMBERED = 100_000


@dataclass
class _Shown:
    generation: int
    at: float
    clicked: bool = False


class ClickCounts:
    """What was shown and clicked since the start. At most ``capacity`` searches wait to mature; with more, the oldest never count."""

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._searches: Counter[int] = Counter()
        self._clicked: Counter[int] = Counter()
        self._open: OrderedDict[str, _Shown] = OrderedDict()
        self._capacity = capacity

    def of(self, generation: int) -> Clicked:
        """Return the counts of a generation."""
        return Clicked(self._searches[generation], self._clicked[generation])

    def take(self, values: Iterable[bytes], now: float) -> None:
        """Take records of ``events`` in that arrived at ``now`` (seconds). What is neither a search of ours nor a click is not parsed."""
        for value in values:
            for _, fact in unpack(value):
                if b'"generation"' in fact or b'"click"' in fact:
                    self._note(json.loads(fact), now)
        while self._open and (first := next(iter(self._open.values()))).at <= now - MATURE_S:
            self._searches[first.generation] += 1
            self._clicked[first.generation] += first.clicked
            self._open.popitem(last=False)

    def _note(self, fact: dict[str, object], now: float) -> None:
        query_id, generation = fact.get("query_id"), fact.get("generation")
        if not isinstance(query_id, str):
            return
        if fact.get("kind") == "search" and isinstance(generation, int):
            if fact.get("shown") and query_id not in self._open:
                self._open[query_id] = _Shown(generation, now)
                if len(self._open) > self._capacity:
                    self._open.popitem(last=False)
        elif fact.get("action") == Action.CLICK.value and query_id in self._open:
            self._open[query_id].clicked = True

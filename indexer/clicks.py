"""Count, per generation, the searches that showed something and those that were clicked, out of the clean events. Bounded.

Only searches that our searchers have answered name a generation. A search counts once it had ``MATURE_S`` to be clicked, not before:
else a new generation, whose searches are all young, would always look bad.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from indexer.click_test import Clicked
from schemas.base import DAMAGED
from schemas.batches import unpack
from schemas.events import Action

MATURE_S = 120.0
REMEMBERED = 100_000


class _Fact(msgspec.Struct, frozen=True):
    """As much of a clean event as is counted."""

    kind: str = ""
    query_id: str | None = None
    generation: int | None = None
    shown: list[str] = []
    action: str = ""


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
        self.unreadable = 0

    def of(self, generation: int) -> Clicked:
        """Return the counts of a generation."""
        return Clicked(self._searches[generation], self._clicked[generation])

    def take(self, values: Iterable[bytes], now: float) -> None:
        """Take records of ``events`` in that arrived at ``now`` (seconds). What is neither a search of ours nor a click is not parsed.

        What cannot be read is passed over and counted.
        """
        for value in values:
            for _, fact in unpack(value):
                if b'"generation"' in fact or b'"click"' in fact:
                    try:
                        self._note(msgspec.json.decode(fact, type=_Fact), now)
                    except (msgspec.MsgspecError, *DAMAGED):
                        self.unreadable += 1
        while self._open and (first := next(iter(self._open.values()))).at <= now - MATURE_S:
            self._searches[first.generation] += 1
            self._clicked[first.generation] += first.clicked
            self._open.popitem(last=False)

    def _note(self, fact: _Fact, now: float) -> None:
        if fact.query_id is None:
            return
        if fact.kind == "search" and fact.generation is not None:
            if fact.shown and fact.query_id not in self._open:
                self._open[fact.query_id] = _Shown(fact.generation, now)
                if len(self._open) > self._capacity:
                    self._open.popitem(last=False)
        elif fact.action == Action.CLICK.value and fact.query_id in self._open:
            self._open[fact.query_id].clicked = True

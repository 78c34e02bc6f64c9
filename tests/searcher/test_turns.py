import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from retrieval.found import Found
from retrieval.index import StoreError
from schemas.search import ScoredHit, SearchRequest
from searcher import turns
from searcher.counting import TURNS, Counts
from searcher.recent import Recent
from searcher.turns import in_turns, take_turns
from tests.releases import a_release
from tests.waiting import until

HIT = ScoredHit(product_id="p", rank=1, score=1.0)


class OneRelease:
    """Answers after so many milliseconds; remembers what it was asked."""

    def __init__(self, generation: int, ms: float = 0.0, error: Exception | None = None) -> None:
        self.generation, self._ms, self._error = generation, ms, error
        self.release = a_release(generation)
        self.asked: list[str] = []

    def embed(self, queries: list[str]) -> list[str]:
        return queries

    def find(self, queries: list[str], *_: object, **__: object) -> Found:
        self.asked += queries
        time.sleep(self._ms / 1000)
        if self._error:
            raise self._error
        return Found([[HIT]], contenders=[1])


def request(query: str = "red hdmi cable") -> SearchRequest:
    return SearchRequest(request_id="r", user_query=query)


def both(live: OneRelease, before: OneRelease) -> Any:
    return live, before


def test_both_are_asked_the_same_which_neither_remembers_and_what_each_took_is_told() -> None:
    live, before = OneRelease(2, ms=40.0), OneRelease(1)
    for number in (1, 2):
        found = in_turns(both(live, before), request(), number)
        assert found is not None
        assert found[0] >= 40.0 > found[1]
    assert live.asked == before.asked == ["red hdmi cable 1", "red hdmi cable 2"]


@pytest.mark.parametrize("error", [StoreError("away"), RuntimeError("closed meanwhile")])
def test_a_turn_that_fails_says_nothing(error: Exception) -> None:
    assert in_turns(both(OneRelease(2, error=error), OneRelease(1)), request(), 1) is None
    assert in_turns(both(OneRelease(2), OneRelease(1, error=error)), request(), 1) is None


async def test_turns_are_taken_while_requests_come_and_there_is_something_to_compare(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "EVERY_S", 0.01)
    monkeypatch.setattr(turns, "SELDOM_S", 60.0)
    live, before = OneRelease(2), OneRelease(1)
    recent, counts, stopping = Recent(), Counts(), asyncio.Event()
    known = SimpleNamespace(rivals=None)
    with ThreadPoolExecutor(1) as executor:
        task = asyncio.create_task(take_turns(lambda: known.rivals, recent, counts, executor, stopping))
        recent.add(request())
        await asyncio.sleep(0.05)
        assert live.asked == [], "nothing was promoted"
        known.rivals = both(live, before)
        await until(lambda: live.asked, "a first turn", pause_s=0.01)
        await asyncio.sleep(0.05)
        assert len(live.asked) == 1, "the same request is not asked again"
        for count in range(2, TURNS + 1):
            recent.add(request())
            await until(lambda count=count: len(live.asked) >= count, "a further turn", pause_s=0.005)
        recent.add(request())
        await asyncio.sleep(0.1)
        assert len(live.asked) <= TURNS + 1, "then it rests"
        stopping.set()
        await task
    (told,) = counts.served()
    assert (told.generation, len(told.turns)) == (2, TURNS)

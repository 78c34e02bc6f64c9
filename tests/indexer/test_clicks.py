from indexer.click_test import Clicked
from indexer.clicks import MATURE_S, ClickCounts
from schemas.batches import pack
from schemas.events import Action, CleanInteraction, CleanSearch


def search(query_id: str, generation: int | None = 2, shown: int = 1) -> bytes:
    hits = [f"p{i}" for i in range(shown)]
    event = CleanSearch(event_id="e", shopper="s", at_ms=1, query_id=query_id, query="q", shown=hits, generation=generation)
    return event.to_json()


def act(query_id: str | None, action: Action = Action.CLICK) -> bytes:
    return CleanInteraction(event_id="i", shopper="s", at_ms=2, action=action, lines=[], query_id=query_id).to_json()


def counted(*facts: bytes, capacity: int = 100) -> ClickCounts:
    counts = ClickCounts(capacity)
    counts.take([pack(facts[:2]), pack(facts[2:])], 0.0)
    counts.take([], MATURE_S)
    return counts


def test_a_search_counts_once_and_is_clicked_once() -> None:
    counts = counted(search("a"), search("b"), search("b"), act("a"), act("a"), search("c", 3), act("c"))
    assert counts.of(2) == Clicked(2, 1)
    assert counts.of(3) == Clicked(1, 1)


def test_a_search_counts_only_when_it_had_its_time_to_be_clicked() -> None:
    counts = ClickCounts()
    counts.take([pack([search("old")])], 0.0)
    counts.take([pack([search("young")])], MATURE_S - 1)
    assert counts.of(2) == Clicked(0, 0)
    counts.take([pack([act("old"), act("young")])], MATURE_S)
    assert counts.of(2) == Clicked(1, 1)
    counts.take([pack([act("old")])], 3 * MATURE_S)
    assert counts.of(2) == Clicked(2, 2)


def test_what_is_no_click_on_a_search_of_ours_counts_nothing() -> None:
    facts = [search("a", None), search("empty", shown=0), act("a"), act(None), act("unknown"), act("a", Action.VIEW)]
    assert counted(*facts).of(2) == Clicked(0, 0)


def test_with_too_many_at_once_the_oldest_never_count() -> None:
    assert counted(search("a"), search("b"), search("c"), act("a"), act("c"), capacity=2).of(2) == Clicked(2, 1)

"""What counts in the click test.

Sealed searches, mature ones, a share of them when there are many, and of nobody too many.
"""

import random

import msgspec
import pytest

from indexer.click_test import Clicked
from indexer.clicks import MATURE_S, PER_SHOPPER, ClickCounts
from retrieval.seal import KEY_BYTES, KEYS, Keys, seal
from schemas.batches import pack
from schemas.events import Action, CleanInteraction, CleanSearch, Line

KEY = bytes(range(KEY_BYTES))


def search(
    query_id: str, generation: int | None = 2, shown: int = 1, *, key: bytes | None = KEY, shopper: str = "s"
) -> bytes:
    hits = [f"p{i}" for i in range(shown)]
    sealed = seal(key, query_id, generation) if key and generation is not None else None
    event = CleanSearch(
        event_id="e",
        shopper=shopper,
        at_ms=1,
        query_id=query_id,
        query="q",
        shown=hits,
        generation=generation,
        seal=sealed,
    )
    return event.to_json()


def act(query_id: str | None, action: Action = Action.CLICK) -> bytes:
    return CleanInteraction(
        event_id="i", shopper="s", at_ms=2, action=action, lines=[], query_id=query_id
    ).to_json()


def counting(capacity: int = 100) -> ClickCounts:
    counts = ClickCounts(capacity, secret=b"secret")
    counts.keys.learn(KEY.hex())
    return counts


def counted(*facts: bytes) -> ClickCounts:
    counts = counting()
    counts.take([pack(facts[:2]), pack(facts[2:])], 0.0)
    counts.take([], MATURE_S)
    return counts


def test_a_search_counts_once_and_is_clicked_once() -> None:
    counts = counted(search("a"), search("b"), search("b"), act("a"), act("a"), search("c", 3), act("c"))
    assert counts.of(2) == Clicked(2, 1)
    assert counts.of(3) == Clicked(1, 1)


def test_a_click_on_what_a_rule_placed_is_none_and_a_search_of_nothing_else_does_not_count() -> None:
    def ruled(query_id: str, *placed: str) -> bytes:
        event = CleanSearch.from_json(search(query_id, shown=2))
        return msgspec.structs.replace(event, placed=list(placed)).to_json()

    def click(query_id: str, *products: str) -> bytes:
        event = CleanInteraction.from_json(act(query_id))
        return msgspec.structs.replace(event, lines=[Line(product_id=p) for p in products]).to_json()

    facts = [ruled("a", "p0"), ruled("b", "p0"), ruled("c", "p0"), ruled("d", "p0", "p1")]
    clicks = [click("a", "p0"), click("b", "p1"), click("c", "p0", "p1"), click("d", "p1")]
    assert counted(*facts, *clicks).of(2) == Clicked(3, 2)


def test_a_search_counts_only_when_it_had_its_time_to_be_clicked() -> None:
    counts = counting()
    counts.take([pack([search("old")])], 0.0)
    counts.take([pack([search("young")])], MATURE_S - 1)
    assert counts.of(2) == Clicked(0, 0)
    counts.take([pack([act("old"), act("young")])], MATURE_S)
    assert counts.of(2) == Clicked(1, 1)
    counts.take([pack([act("old")])], 3 * MATURE_S)
    assert counts.of(2) == Clicked(2, 2)


def test_what_is_no_click_on_a_search_of_ours_counts_nothing() -> None:
    facts = [
        search("a", None),
        search("empty", shown=0),
        act("a"),
        act(None),
        act("unknown"),
        act("a", Action.VIEW),
    ]
    assert counted(*facts).of(2) == Clicked(0, 0)


def test_a_generation_that_somebody_else_names_counts_nothing() -> None:
    """Anybody may write to ``searches``: unclicked ones that named the live generation rolled it back."""
    moved = CleanSearch(
        event_id="e",
        shopper="s",
        at_ms=1,
        query_id="c",
        query="q",
        shown=["p"],
        generation=3,
        seal=seal(KEY, "c", 2),
    )
    counts = counted(search("a", key=None), search("b", key=bytes(KEY_BYTES)), moved.to_json(), search("d"))
    assert (counts.of(2), counts.of(3)) == (Clicked(1, 0), Clicked())
    assert (counts.came[2], counts.unproven) == (1, 3)


@pytest.mark.parametrize("per_s", [10, 833, 3_000])
def test_as_many_as_come_are_judged_by_a_bounded_sample(per_s: int) -> None:
    """Above 833 a second each was pushed out before it had its time to be clicked.

    Nothing counted, and nobody was told.
    """
    scale = 100  # of room and traffic alike
    counts = counting(100_000 // scale)
    rng, number = random.Random(per_s), 0
    for second in range(600):
        facts = []
        for _ in range(max(1, per_s // scale)):
            number += 1
            facts += [search(f"q{number}", shopper=f"s{number}")]
            if rng.random() < 0.3:
                facts += [act(f"q{number}")]
        counts.take([pack(facts)], float(second))
    found = counts.of(2)
    assert found.searches >= 300
    assert found.rate == pytest.approx(0.3, abs=0.06)
    assert counts.came[2] == number
    assert (counts.halvings > 0) == (per_s > 833)


def test_the_sample_grows_again_when_fewer_come() -> None:
    counts = counting(50)
    counts.take([pack([search(f"q{n}", shopper=f"s{n}")]) for n in range(400)], 0.0)
    assert counts.halvings > 0
    for second in range(10):
        counts.take([], MATURE_S + second)
    assert counts.halvings == 0


def test_one_shopper_does_not_speak_for_all() -> None:
    counts = counting(10_000)
    counts.take([pack([search(f"q{n}") for n in range(1000)] + [search("other", shopper="t")])], 0.0)
    counts.take([], MATURE_S)
    assert counts.of(2) == Clicked(PER_SHOPPER + 1, 0)


def test_a_flood_of_searches_takes_no_more_than_the_room() -> None:
    counts = counting(1000)
    for start in range(0, 10_000, 1000):
        counts.take(
            [pack([search(f"q{n}", shopper=f"s{n % 1000}") for n in range(start, start + 1000)])], 1.0
        )
        assert counts.waiting <= 1000


def test_keys_are_bounded_and_what_is_none_is_ignored() -> None:
    keys = Keys()
    for text in (None, "", "zz", "00", "00" * 40, "é" * 32):
        keys.learn(text)
    assert not keys.made(None, "q", 1)
    assert not keys.made("é", "q", 1)
    made = [n.to_bytes(KEY_BYTES, "big") for n in range(KEYS + 1)]
    for key in made:
        keys.learn(key.hex())
    assert keys.made(seal(made[-1], "q", 1), "q", 1)
    assert not keys.made(seal(made[0], "q", 1), "q", 1)

"""Which pointer holds: one that follows the last, however great the sequence of another."""

from datetime import UTC, datetime

from broker.pointer_chain import PointerAncestry, PointerChain, digest
from schemas.releases import LivePointer
from tests.releases import a_release

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pointer(
    sequence: int, *after: LivePointer | str, generation: int = 1, chained: bool = True
) -> LivePointer:
    release = a_release(generation, at=NOW)
    names = [a if isinstance(a, str) else digest(a.to_json()) for a in after]
    return LivePointer(
        sequence=sequence, live=release, cause="test", at=NOW, follows=names if chained else None
    )


def held(*pointers: LivePointer) -> LivePointer | None:
    chain = PointerChain()
    for one in pointers:
        chain.take(one.to_json())
    return chain.holds


FIRST = pointer(1)
SECOND = pointer(2, FIRST, generation=2)
THIRD = pointer(3, FIRST, SECOND, generation=3)


def test_each_pointer_follows_the_one_before():
    assert held(FIRST, SECOND, THIRD) == THIRD
    assert held(FIRST, THIRD) == THIRD, "what compaction has taken away is not missed"
    assert held(THIRD, FIRST, SECOND) == THIRD


def test_a_forged_pointer_with_a_huge_sequence_changes_nothing():
    """It blinded all searchers, and a rollback by force had no effect on them."""
    forged = pointer(999_999, generation=9)
    assert held(FIRST, forged, SECOND) == SECOND
    assert held(FIRST, pointer(999_999, "made up", generation=9), SECOND) == SECOND
    assert held(FIRST, pointer(999_999, generation=9, chained=False), SECOND) == SECOND


def test_who_took_a_forged_pointer_is_brought_back_by_the_one_that_overrules_it():
    forged = pointer(7, FIRST, generation=9)
    overruling = pointer(2, FIRST, forged)
    assert held(FIRST, forged, overruling) == overruling
    assert held(FIRST, overruling) == overruling
    assert held(forged, overruling) == overruling, "compaction has left the forged one alone"
    assert held(forged, pointer(3, FIRST, forged, overruling, generation=3)) is not None


def test_a_flood_of_forged_pointers_keeps_no_reader_from_the_next_one_of_ours():
    ancestry = PointerAncestry()
    ancestry.wrote(FIRST.to_json())
    forged = [pointer(9, FIRST, generation=9)]
    for sequence in range(10, 3000):
        forged.append(pointer(sequence, forged[-1], generation=9))
    ancestry.saw(f.to_json() for f in forged)
    ours = pointer(2, *ancestry.follows)
    assert len(ours.to_json()) < 100_000
    assert held(FIRST, *forged, ours) == ours
    assert held(FIRST, ours) == ours
    assert held(*forged[-2:], ours) == ours


def test_a_reader_that_was_away_for_weeks_of_refreshes_takes_the_next_one_again():
    """A refresh every two minutes pushed all that a reader knew out within two hours."""
    ancestry, written = PointerAncestry(), list[LivePointer]()
    for sequence in range(1, 6001):
        written.append(pointer(sequence, *ancestry.follows))
        ancestry.wrote(written[-1].to_json())
    newest = pointer(6001, *ancestry.follows, generation=2)
    for away in (40, 400, 2000):
        stopped = 6000 - away
        assert held(*written[stopped - away : stopped], newest) == newest, away
    assert len(ancestry.ours) <= 110
    again = PointerAncestry(ancestry.follows)
    assert again.ours == ancestry.ours, "a restarted indexer names the same"


def test_a_copy_of_an_old_pointer_does_not_hold_again():
    assert held(FIRST, SECOND, THIRD, SECOND) == THIRD


def test_pointers_of_an_indexer_from_before_the_chain_go_by_sequence_until_the_first_chained_one():
    old, newer = pointer(4, chained=False), pointer(5, chained=False)
    assert held(old, newer, old) == newer
    chained = pointer(6, newer, generation=2)
    assert held(old, newer, chained, pointer(9, chained=False)) == chained

"""The searcher reads ``releases`` as all do, and counts the pointers that it ignores."""

from broker.records import Record
from broker.release_log import ReleaseLog
from searcher.metrics import FOREIGN_POINTERS
from searcher.pointer import take_pointers
from tests.broker.test_pointer_chain import FIRST, SECOND, pointer


def test_only_what_was_written_as_a_pointer_and_is_ignored_counts_as_a_strangers() -> None:
    before, releases = FOREIGN_POINTERS._value.get(), ReleaseLog("main")
    good = [
        (b"main", FIRST.to_json()),
        (b"main", SECOND.to_json()),
        (b"generation:000001", b"{"),
        (b"main", None),
    ]
    bad = [(b"main", pointer(999_999, generation=9).to_json()), (b"main", b"{")]
    take_pointers(releases, [Record("releases", 0, 0, 0, *one) for one in [*good, *bad]])
    assert releases.pointer == SECOND
    assert FOREIGN_POINTERS._value.get() - before == len(bad)


def test_generations_that_no_pointer_names_take_no_memory_of_a_searcher() -> None:
    releases = ReleaseLog("main")
    take_pointers(releases, [Record("releases", 0, 0, 0, b"generation:000001", FIRST.live.to_json())])
    assert releases.releases == []

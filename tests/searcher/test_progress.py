"""What may be committed although answers come out of order."""

from searcher.progress import Progress
from tests.searcher.asking import record


def test_only_what_is_done_without_a_gap_may_be_committed():
    progress, records = Progress(), [record(str(n)) for n in range(4)]
    for r in records:
        progress.read(r)
    progress.done(records[1])
    progress.done(records[3])
    assert progress.committable() == []
    progress.done(records[0])
    assert [r.offset for r in progress.committable()] == [records[1].offset]
    progress.done(records[2])
    assert [r.offset for r in progress.committable()] == [records[3].offset]
    assert progress.committable() == []


def test_partitions_do_not_wait_for_each_other():
    progress, one, two = Progress(), record("a", partition=1), record("b", partition=2)
    progress.read(one)
    progress.read(two)
    progress.done(two)
    assert [(r.partition, r.offset) for r in progress.committable()] == [(2, two.offset)]


def test_what_was_read_under_another_assignment_moves_nothing():
    before, progress, after = record("old"), Progress(), record("new")
    progress.done(before)
    progress.read(after)
    progress.done(before)
    assert progress.committable() == []

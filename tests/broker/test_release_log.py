"""What every process and verb is told of ``releases``: the pointer that holds and the newest generations."""

from broker.records import Record
from broker.release_log import ReleaseLog
from tests.broker.test_pointer_chain import FIRST, SECOND, pointer


def record(key: bytes, value: bytes | None) -> Record:
    return Record("releases", 0, 0, 0, key, value)


def live(*values: bytes) -> list[Record]:
    return [record(b"main", value) for value in values]


def test_a_stranger_s_pointer_is_not_told_as_live() -> None:
    forged = pointer(999_999, generation=9)
    log = ReleaseLog("main", live(FIRST.to_json(), SECOND.to_json()))
    assert log.pointer == SECOND
    (one,) = live(forged.to_json())
    assert log.take(one) is None
    assert log.is_pointer(one)
    assert log.pointer == SECOND


def test_of_a_generation_the_newest_record_is_told_and_none_that_was_deleted() -> None:
    first, second = FIRST.live, SECOND.live.model_copy(update={"row_count": 5})
    log = ReleaseLog(
        "main",
        [
            record(b"generation:000002", SECOND.live.to_json()),
            record(b"generation:000001", first.to_json()),
            record(b"generation:000002", second.to_json()),
            record(b"generation:000003", first.model_copy(update={"generation": 3}).to_json()),
            record(b"generation:000003", None),
            record(b"shop-b/generation:000004", first.model_copy(update={"generation": 4}).to_json()),
        ],
    )
    assert log.releases == [first, second]


def test_a_generation_whose_newest_record_is_garbage_is_not_told_as_compaction_would_leave_it() -> None:
    whole = record(b"generation:000001", FIRST.live.to_json())
    garbage = record(b"generation:000001", b"{")
    assert ReleaseLog("main", [whole, garbage]).releases == ReleaseLog("main", [garbage]).releases == []


def test_each_record_says_what_it_changes() -> None:
    log = ReleaseLog()
    assert log.take(record(b"generation:000001", FIRST.live.to_json())) == FIRST.live
    assert log.take(record(b"main", FIRST.to_json())) == FIRST
    assert log.take(record(b"main", FIRST.to_json())) is None, "it holds already"


def test_other_deployments_other_keys_tombstones_and_garbage_say_nothing() -> None:
    noise = [
        record(b"other", FIRST.to_json()),
        record(b"generation:000007", FIRST.live.to_json()),
        record(b"main", FIRST.live.to_json()),
        record(b"main", None),
        record(b"main", b"{"),
        record(b"main", b"[" * 100_000),
        Record("releases", 0, 0, 0, None, FIRST.to_json()),
    ]
    log = ReleaseLog("main")
    assert [log.take(one) for one in noise] == [None] * len(noise)
    assert (log.pointer, log.releases) == (None, [])

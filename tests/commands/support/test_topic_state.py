"""What an operator is shown of ``releases`` is what the processes go by."""

from broker.records import Record
from commands.support.topic_state import held
from tests.searcher.test_pointer import FIRST, SECOND, pointer


def record(key: bytes, value: bytes | None) -> Record:
    return Record("releases", 0, 0, 0, key, value)


def test_a_strangers_pointer_is_not_shown_as_live():
    forged = pointer(999_999, generation=9)
    chain, _ = held([record(b"main", p.to_json()) for p in (FIRST, SECOND, forged)], "main")
    assert chain.known == SECOND
    chain, _ = held(
        [record(b"main", FIRST.to_json()), record(b"main", b"{"), record(b"other", SECOND.to_json())], "main"
    )
    assert chain.known == FIRST


def test_of_a_generation_the_newest_record_is_shown_and_none_that_was_deleted():
    first, second = FIRST.live, SECOND.live.model_copy(update={"row_count": 5})
    log = [
        record(b"generation:000002", SECOND.live.to_json()),
        record(b"generation:000001", first.to_json()),
        record(b"generation:000002", second.to_json()),
        record(b"generation:000003", first.to_json()),
        record(b"generation:000003", None),
        record(b"shop-b/generation:000004", first.to_json()),
    ]
    assert held(log, "main")[1] == [first, second]

"""Which pointer holds."""

from broker.records import Record
from schemas.releases import LivePointer, Release, ReleaseState
from searcher.pointer import newest_pointer


def pointer(sequence: int, generation: int = 1) -> LivePointer:
    release = Release(
        generation=generation, model="m", model_sha256="0" * 64, dim=2, collection=f"c_g{generation:06d}", state=ReleaseState.RELEASED
    )
    return LivePointer(sequence=sequence, live=release, cause="test")


def record(value: bytes | None, key: bytes = b"main") -> Record:
    return Record("releases", 0, 0, 0, key, value)


def test_the_greatest_sequence_holds_in_whatever_order_it_is_read():
    records = [record(pointer(s, s).to_json()) for s in (2, 3, 1)]
    found = newest_pointer(records, "main", None)
    assert found is not None
    assert found.live.generation == 3


def test_a_stale_pointer_does_not_replace_a_known_one():
    known = pointer(5)
    assert newest_pointer([record(pointer(4).to_json())], "main", known) is known


def test_other_deployments_generation_records_tombstones_and_garbage_are_passed_over():
    noise = [
        record(pointer(9).to_json(), b"other"),
        record(pointer(9).live.to_json(), b"generation:000001"),
        record(None),
        record(b"{"),
    ]
    assert newest_pointer(noise, "main", None) is None

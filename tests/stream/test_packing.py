from broker.records import partition_of
from schemas.batches import MAX_FACTS_PER_RECORD, unpack
from stream.packing import MAX_RECORD_BYTES, pack_by_key


def test_facts_go_to_the_partition_of_their_key_in_order():
    facts = [(f"k{n % 7}", b'{"n":%d}' % n) for n in range(1000)]
    records = pack_by_key(facts, "events", 4)
    for partition in range(4):
        got = [fact for r in records if r.partition == partition for _, fact in unpack(r.value)]
        assert got == [fact for key, fact in facts if partition_of(key, 4) == partition]
    assert max(len(list(unpack(r.value))) for r in records) == MAX_FACTS_PER_RECORD


def test_records_stay_small_and_a_large_fact_travels_alone():
    large = b"x" * (MAX_RECORD_BYTES + 1)
    records = pack_by_key([("k", b"a"), ("k", large), ("k", b"b")], "events", 1)
    assert [r.value for r in records] == [b"a", large, b"b"]
    assert pack_by_key([], "events", 1) == []

"""Sending dead letters again."""

import pytest

from broker.dead_letters import MAX_REPLAYS, ORIGIN, REPLAYED, again, dead_letter, origin_of, origin_of_letter
from broker.records import Headers, Outgoing, Record
from inbound.envelope import agreed_id
from schemas.rejections import Reason, Rejection

REFUSED = Record("t.interactions", 3, 41, 1000, b"ann", b"{}", (("trace", b"1"),))


def read_back(written: Outgoing, offset: int, topic: str) -> Record:
    return Record(topic, 0, offset, 2000, written.key, written.value, written.headers)


def refused_again(record: Record, offset: int) -> Record:
    return read_back(
        dead_letter(record, Rejection(reason=Reason.SCHEMA), stage="test"), offset, "t.interactions.dlq"
    )


def test_a_record_keeps_its_event_id_however_often_it_is_sent_again():
    record, ids = REFUSED, set[object]()
    for offset in range(MAX_REPLAYS):
        ids.add(agreed_id(None, None, record))
        letter = refused_again(record, offset)
        assert origin_of_letter(letter) == "t.interactions/3/41"
        replayed = again(letter)
        assert replayed is not None
        assert (replayed.topic, replayed.key, replayed.value) == ("t.interactions", b"ann", b"{}")
        record = read_back(replayed, 900 + offset, "t.interactions")
        assert origin_of(record) == "t.interactions/3/41"
    assert len(ids | {agreed_id(None, None, record)}) == 1


def test_after_three_times_a_record_stays_where_it_is():
    record = REFUSED
    for offset in range(MAX_REPLAYS):
        replayed = again(refused_again(record, offset))
        assert replayed is not None
        record = read_back(replayed, 900 + offset, "t.interactions")
    assert again(refused_again(record, 99)) is None


@pytest.mark.parametrize(
    "headers", [(), ((ORIGIN, b"t.interactions/1/2"),), ((REPLAYED, b"abc"),), ((REPLAYED, None),)]
)
def test_the_headers_of_the_producer_come_back_and_ours_do_not_pile_up(headers: Headers):
    replayed = again(
        refused_again(Record("t.interactions", 1, 2, 0, None, b"x", (("trace", b"1"), *headers)), 5)
    )
    assert replayed is not None
    assert sorted(replayed.headers) == [(ORIGIN, b"t.interactions/1/2"), (REPLAYED, b"1"), ("trace", b"1")]


def test_a_letter_goes_back_to_the_topic_whose_letters_it_lies_among_whatever_it_says():
    letter = Record(
        "t.interactions.dlq",
        0,
        5,
        0,
        b"k",
        b"{}",
        (("__connect.errors.topic", b"t.releases"), ("__connect.errors.topic", None)),
    )
    replayed = again(letter)
    assert replayed is not None
    assert replayed.topic == "t.interactions"


def test_a_letter_that_was_cut_is_not_sent_again():
    record = Record("t.interactions", 0, 5, 0, b"k", b"x" * (3 << 20))
    assert again(refused_again(record, 1)) is None

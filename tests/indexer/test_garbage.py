"""Garbage on the topics that the indexer reads besides.

It is skipped, and what stands beside it still counts.
"""

import pytest

from broker.records import Record
from indexer.clicks import MATURE_S
from indexer.state import state_of
from indexer.watching import read_report
from schemas.releases import SearcherReport, Served
from tests.indexer.builders import a_log, a_state
from tests.indexer.test_clicks import counting, search
from tests.releases import NOW, a_release

GARBAGE = [
    b"",
    b"{",
    b"[" * 100_000,
    b"\xff\xfe",
    b'"generation"',
    b"[1]",
    b"null",
    b'{"generation":"\xed\xa0\x80"}',
    b'{"generation":' + b"9" * 6000 + b"}",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_on_releases_hides_no_generation(garbage: bytes) -> None:
    state = a_state(a_release(1), live=1)
    assert state.pointer is not None
    records = [
        (b"generation:000001", state.releases[1].to_json()),
        (b"generation:000002", garbage),
        (b"generation:x", garbage),
    ]
    log = a_log(*records, (b"main", state.pointer.to_json()), (b"main", garbage))
    assert state_of(log) == state
    assert a_log(*records, (b"main", garbage)).pointer is None


def test_a_record_under_the_key_of_another_generation_is_none() -> None:
    assert a_log((b"generation:000007", a_release(1).to_json())).releases == []


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_on_events_stops_no_counting(garbage: bytes) -> None:
    counts = counting()
    counts.take([garbage, b'"generation"' + garbage, b'{"generation":"x"}', search("a")], 0.0)
    counts.take([], MATURE_S)
    assert counts.of(2).searches == 1


def report(**fields: object) -> Record:
    value = SearcherReport(searcher_id="s", generation=1, sequence=1, ready=True, at=NOW, **fields)  # type: ignore[arg-type]
    return Record("searcher-reports", 0, 0, 0, b"s", value.to_json())


def test_a_report_whose_numbers_cannot_be_added_up_is_skipped() -> None:
    assert read_report(report(served=[Served(generation=1, answers=5)])) is not None
    assert read_report(report(served=[Served(generation=1, answers=-5)])) is None
    assert read_report(report(served=[Served(generation=1, latency_counts=[10**400])])) is None
    assert read_report(report(served=[Served(generation=1, turns=[(5.0, -5.0)])])) is None
    for garbage in (*GARBAGE, None):
        assert read_report(Record("searcher-reports", 0, 0, 0, b"s", garbage)) is None
    stolen = report()
    assert read_report(Record(stolen.topic, 0, 0, 0, b"another", stolen.value)) is None, (
        "a report stands under its searcher's own key"
    )


def test_a_time_without_zone_in_a_report_is_utc_and_ends_nothing() -> None:
    """It could not be compared with ours.

    And it ended the indexer for as long as the report stood on the topic.
    """
    raw = b'{"searcher_id":"s","generation":1,"sequence":1,"ready":true,"at":"2026-01-01T12:00:00"}'
    read = read_report(Record("searcher-reports", 0, 0, 0, b"s", raw))
    assert read is not None
    assert read.at == NOW

"""A refused record keeps its bytes and gains the reason."""

import json

from broker.dead_letters import dead_letter
from broker.records import Record
from schemas.rejections import Problem, Reason, Rejection


def refused(record: Record, reason: Reason, message: str = "wrong"):
    problem = Problem(loc="title", type="value_error", message=message)
    return dead_letter(record, Rejection(reason=reason, problems=[problem]), stage="intake")


def test_the_bytes_the_key_and_foreign_headers_stay_and_the_reason_is_added() -> None:
    record = Record("searchloop.products", 2, 17, 1_700_000_000_000, b"p1", b"\xff\x00 not json", (("trace", b"abc"),))
    out = refused(record, Reason.JSON_DECODE)
    assert (out.topic, out.key, out.value, out.timestamp_ms) == ("searchloop.products.dlq", b"p1", b"\xff\x00 not json", 1_700_000_000_000)
    headers = dict(out.headers)
    assert headers["trace"] == b"abc"
    assert headers["dlq.reason"] == b"json_decode"
    assert headers["__connect.errors.topic"] == b"searchloop.products"
    assert (headers["__connect.errors.partition"], headers["__connect.errors.offset"]) == (b"2", b"17")
    assert headers["__connect.errors.exception.message"] == b"title: wrong"
    assert json.loads(headers["dlq.errors"]) == [{"loc": "title", "type": "value_error", "message": "wrong"}]


def test_a_second_refusal_replaces_the_headers_of_the_first() -> None:
    first = refused(Record("products", 0, 1, 0, None, None, (("trace", b"abc"), ("dlq.replayed", b"1"))), Reason.SCHEMA)
    again = refused(Record("products", 0, 9, 0, None, None, first.headers), Reason.BLANK_TEXT)
    names = [name for name, _ in again.headers]
    assert len(names) == len(set(names))
    headers = dict(again.headers)
    assert (headers["dlq.reason"], headers["__connect.errors.offset"]) == (b"blank_text", b"9")
    assert (headers["trace"], headers["dlq.replayed"]) == (b"abc", b"1")


def test_a_record_without_a_time_gets_none() -> None:
    assert refused(Record("products", 0, 0, -1, None, None), Reason.SCHEMA).timestamp_ms is None


def test_a_long_explanation_is_cut() -> None:
    headers = dict(refused(Record("products", 0, 0, 0, None, None), Reason.SCHEMA, message="x" * 100_000).headers)
    assert sum(map(len, headers.values())) < 10_000

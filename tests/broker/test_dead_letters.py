"""A refused record keeps its bytes and gains the reason."""

import json
from hashlib import sha256

import pytest

from broker.dead_letters import (
    MAX_LETTER_BYTES,
    ORIGIN,
    REPLAYED,
    cut,
    dead_letter,
    identity_of_letter,
    origin_of,
)
from broker.records import Record, bytes_of
from schemas.rejections import Problem, Reason, Rejection


def refused(record: Record, reason: Reason, message: str = "wrong"):
    problem = Problem(loc="title", type="value_error", message=message)
    return dead_letter(record, Rejection(reason=reason, problems=[problem]), stage="intake")


def test_the_bytes_the_key_and_foreign_headers_stay_and_the_reason_is_added() -> None:
    record = Record(
        "searchloop.products", 2, 17, 1_700_000_000_000, b"p1", b"\xff\x00 not json", (("trace", b"abc"),)
    )
    out = refused(record, Reason.JSON_DECODE)
    assert (out.topic, out.key, out.value, out.timestamp_ms) == (
        "searchloop.products.dlq",
        b"p1",
        b"\xff\x00 not json",
        1_700_000_000_000,
    )
    headers = dict(out.headers)
    assert headers["trace"] == b"abc"
    assert headers["dlq.reason"] == b"json_decode"
    assert headers["__connect.errors.topic"] == b"searchloop.products"
    assert (headers["__connect.errors.partition"], headers["__connect.errors.offset"]) == (b"2", b"17")
    assert headers["__connect.errors.exception.message"] == b"title: wrong"
    assert json.loads(headers["dlq.errors"]) == [{"loc": "title", "type": "value_error", "message": "wrong"}]


def test_a_second_refusal_replaces_the_headers_of_the_first() -> None:
    first = refused(
        Record("products", 0, 1, 0, None, None, (("trace", b"abc"), ("dlq.replayed", b"1"))), Reason.SCHEMA
    )
    again = refused(Record("products", 0, 9, 0, None, None, first.headers), Reason.BLANK_TEXT)
    names = [name for name, _ in again.headers]
    assert len(names) == len(set(names))
    headers = dict(again.headers)
    assert (headers["dlq.reason"], headers["__connect.errors.offset"]) == (b"blank_text", b"9")
    assert (headers["trace"], headers["dlq.replayed"]) == (b"abc", b"1")


def test_a_record_without_a_time_gets_none() -> None:
    assert refused(Record("products", 0, 0, -1, None, None), Reason.SCHEMA).timestamp_ms is None


def test_a_long_explanation_is_cut() -> None:
    headers = dict(
        refused(Record("products", 0, 0, 0, None, None), Reason.SCHEMA, message="x" * 100_000).headers
    )
    assert sum(map(len, headers.values())) < 10_000
    [problem] = json.loads(headers["dlq.errors"])
    assert problem["message"].startswith("xxx")


def test_of_many_problems_the_first_that_have_room_are_kept_whole() -> None:
    problems = [Problem(loc=f"items.{n}", type="value_error", message="é" * 60) for n in range(100)]
    letter = dead_letter(
        Record("products", 0, 0, 0, None, None),
        Rejection(reason=Reason.SCHEMA, problems=problems),
        stage="intake",
    )
    told = json.loads(dict(letter.headers)["dlq.errors"])
    assert 5 < len(told) < len(problems)
    assert told == [p.model_dump() for p in problems[: len(told)]]


def test_a_header_without_value_stays_one() -> None:
    out = refused(Record("products", 0, 0, 0, b"p", b"{", (("a", None), ("b", b""))), Reason.JSON_DECODE)
    assert out.headers[:2] == (("a", None), ("b", b""))


def test_a_record_at_the_bound_is_kept_whole_and_one_above_says_what_it_was() -> None:
    value = bytes(MAX_LETTER_BYTES - 1)
    assert refused(Record("products", 0, 0, 0, b"p", value), Reason.TOO_LARGE).value == value

    large = value + b"xy"
    out = refused(Record("products", 0, 0, 0, b"p", large, (("trace", b"1"),)), Reason.TOO_LARGE)
    headers = dict(out.headers)
    assert (out.key, out.value) == (b"p", large[: 1 << 20])
    assert headers["dlq.original_bytes"] == str(len(large)).encode()
    assert headers["dlq.original_sha256"] == sha256(large).hexdigest().encode()
    assert headers["dlq.reason"] == b"too_large"
    assert "trace" not in headers


@pytest.mark.parametrize(
    "record",
    [
        Record("products", 0, 0, 0, b"k" * (8 << 20), None),
        Record("products", 0, 0, 0, None, b"v" * (64 << 20)),
        Record("products", 0, 0, 0, None, b"{", (("n" * (8 << 20), b"1"),)),
        Record("products", 0, 0, 0, None, b"{", (("a", b"x" * (8 << 20)), ("b", None))),
        Record("products", 0, 0, 0, None, b"{", tuple((f"h{n}", None) for n in range(300_000))),
    ],
    ids=["key", "value", "header name", "header value", "many headers"],
)
def test_no_record_is_too_large_for_its_letter(record: Record) -> None:
    assert bytes_of(refused(record, Reason.TOO_LARGE)) < MAX_LETTER_BYTES


def test_a_letter_that_is_still_too_large_is_cut_to_its_reason_and_keeps_its_first_size() -> None:
    letter = refused(Record("products", 0, 7, 0, b"p", b"v" * (3 << 20)), Reason.TOO_LARGE)
    smaller = cut(letter)
    headers = dict(smaller.headers)
    assert (smaller.value, bytes_of(smaller) < 4096) == (b"", True)
    assert (headers["dlq.original_bytes"], headers["dlq.reason"]) == (str(3 << 20).encode(), b"too_large")


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"/",
        b"products/0/7",
        b"products/0/8",
        b"products/x/1",
        b"products/0/-1",
        b"other/0/1",
        b"products/0/\xff",
        b"9" * 100_000,
    ],
)
def test_a_place_that_cannot_be_true_is_not_believed(forged: bytes) -> None:
    assert origin_of(Record("products", 0, 7, 0, None, None, ((ORIGIN, forged),))) == "products/0/7"


@pytest.mark.parametrize("forged", [b"abc", b"-1", b"", None, b"1e3", b"9" * 5000, "\u0663".encode()])
def test_a_count_of_replays_that_no_replay_wrote_is_none(forged: bytes | None) -> None:
    out = refused(Record("products", 0, 7, 0, None, b"{", ((REPLAYED, forged),)), Reason.SCHEMA)
    assert dict(out.headers).get(REPLAYED, b"0") in {b"0", b"3"}  # at most as many as there can be
    assert out.headers[-1][0] in {REPLAYED, ORIGIN}


def test_a_claimed_place_does_not_make_letters_of_two_records_one() -> None:
    honest = Record("products", 0, 3, 0, b"p", b"{honest")
    forged = Record("products", 0, 7, 0, b"p", b"{forged", ((ORIGIN, b"products/0/3"),))
    letters = [refused(r, Reason.SCHEMA) for r in (honest, forged)]
    read = [Record(out.topic, 0, n, 0, out.key, out.value, out.headers) for n, out in enumerate(letters)]
    assert len(set(map(identity_of_letter, read))) == len(read)

"""What is a request, and where its answer goes."""

import json
from typing import Any

import pytest

from broker.records import Headers, Record
from schemas.bounds import HEADER_BYTES, IMAGE_CHARS, REQUEST_BYTES
from schemas.search import SearchRequest, SearchResponse, Status
from searcher.requests import Accepted, Address, BadRequest, read

TOPICS = {"answers": 4, "mine": 2}


def record(
    value: object = None, key: bytes | None = b"from-key", headers: Headers = (), at: int = 1000
) -> Record:
    body = (
        value
        if isinstance(value, bytes | None) and value is not None
        else json.dumps(value or {"request_id": "r1", "user_query": "tv"}).encode()
    )
    return Record("requests", 0, 7, at, key, body, headers)


def test_a_plain_request_is_answered_on_the_default_topic():
    found = read(record(), TOPICS, "answers")
    assert isinstance(found, Accepted)
    assert (
        found.request.request_id,
        found.address.topic,
        found.address.partition,
        found.address.headers,
    ) == ("r1", "answers", None, ())


def test_the_correlation_id_comes_back_byte_for_byte():
    odd = b"\x00\xff\xfe raw"
    found = read(record(headers=(("kafka_correlationId", odd), ("other", b"x"))), TOPICS, "answers")
    assert found.address.headers == (("kafka_correlationId", odd),)


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_the_trace_is_kept_and_alone_makes_nobody_answerable():
    headers = (("traceparent", TRACE.encode()), ("kafka_correlationId", b"c"))
    found = read(record(headers=headers), TOPICS, "answers")
    assert found.address.headers == (("kafka_correlationId", b"c"), ("traceparent", TRACE.encode()))
    assert found.address.trace == (("traceparent", TRACE.encode()),)
    bad = read(record(b"{", key=b"\x00", headers=headers[:1]), TOPICS, "answers")
    assert isinstance(bad, BadRequest)
    assert (bad.answerable, bad.address.trace) == (False, headers[:1])
    assert read(record(headers=(("traceparent", b"no"),)), TOPICS, "answers").address.headers == ()


@pytest.mark.parametrize("raw", [(1).to_bytes(4, "big"), b"1"])
def test_an_allowed_reply_topic_and_partition_are_honoured(raw: bytes):
    found = read(
        record(headers=(("kafka_replyTopic", b"mine"), ("kafka_replyPartition", raw))), TOPICS, "answers"
    )
    assert isinstance(found, Accepted)
    assert (found.address.topic, found.address.partition) == ("mine", 1)


def test_a_reply_topic_that_is_not_allowed_is_refused_on_the_default_one():
    headers = (
        ("kafka_replyTopic", b"secrets"),
        ("kafka_replyPartition", b"1"),
        ("kafka_correlationId", b"c"),
    )
    found = read(record(headers=headers), TOPICS, "answers")
    assert isinstance(found, BadRequest)
    assert (found.request_id, found.address.topic, found.address.partition, found.error.code) == (
        "r1",
        "answers",
        None,
        "reply_topic",
    )
    assert found.address.headers == (("kafka_correlationId", b"c"),)


@pytest.mark.parametrize(
    "raw", [b"2", b"-1", b"one", (2).to_bytes(4, "big"), (-1).to_bytes(4, "big", signed=True), b""]
)
def test_a_reply_partition_that_does_not_exist_is_refused(raw: bytes):
    found = read(
        record(headers=(("kafka_replyTopic", b"mine"), ("kafka_replyPartition", raw))), TOPICS, "answers"
    )
    assert isinstance(found, BadRequest)
    assert (found.error.code, found.address.topic, found.address.partition) == (
        "reply_partition",
        "mine",
        None,
    )


@pytest.mark.parametrize(
    ("value", "request_id", "code"),
    [
        (b"{not json", "from-key", "invalid_request"),
        (b"[1]", "from-key", "invalid_request"),
        ({"request_id": "r9", "user_query": "tv", "k": 0}, "r9", "invalid_request"),
        ({"request_id": 12, "user_query": 4}, "12", "invalid_request"),
        ({"user_query": "tv"}, "from-key", "invalid_request"),
        (b'{"request_id":"r9","image":"AAAA","image_weight":NaN}', "from-key", "invalid_request"),
        ({"request_id": "r9", "user_query": " <b></b> "}, "r9", "blank_query"),
        ({"request_id": "r9"}, "r9", "blank_query"),
        ({"request_id": "r9", "image": ""}, "r9", "blank_query"),
        ({"request_id": "r9", "image": "no base64"}, "r9", "invalid_request"),
        ({"request_id": "r9", "image": "A" * (IMAGE_CHARS + 4)}, "from-key", "image_too_large"),
        ({"request_id": "r9", "image": "A" * 8_000_000}, "from-key", "image_too_large"),
        ({"request_id": "r9", "image": "AAAA", "image_weight": 2}, "r9", "invalid_request"),
        ({"request_id": "r9", "image": "AAAA", "k": "x" * REQUEST_BYTES}, "from-key", "too_large"),
        (
            {
                "request_id": "r9",
                "user_query": "tv",
                "filters": [{"field": "brand", "op": "lt", "value": "a"}],
            },
            "r9",
            "invalid_filter",
        ),
        (
            {"request_id": "r9", "user_query": "tv", "filters": [{"field": "vector", "value": "a"}]},
            "r9",
            "invalid_request",
        ),
    ],
)
def test_a_bad_request_is_refused_under_the_best_id_there_is(value: object, request_id: str, code: str):
    found = read(record(value), TOPICS, "answers")
    assert isinstance(found, BadRequest)
    assert (found.request_id, found.error.code, found.error.retryable) == (request_id, code, False)


@pytest.mark.parametrize("text", [None, "", " ", "<b></b>"])
def test_a_picture_alone_is_a_request_without_text(text: str | None):
    found = read(record({"request_id": "r1", "image": "AAAA", "user_query": text}), TOPICS, "answers")
    assert isinstance(found, Accepted)
    assert (found.request.user_query, found.request.image) == ("", b"\0\0\0")
    assert found.record.value is None
    assert (found.record.key, found.bytes) == (b"from-key", len(b"from-key") + 3)


def test_null_and_empty_mean_absent_as_generated_models_send_them():
    value = {"request_id": "r1", "user_query": "tv", "k": None, "offset": None, "filters": None,
             "client_id": "", "session_id": None, "query_id": "undefined", "timeout_ms": None,
             "explain": None}  # fmt: skip
    found = read(record(value), TOPICS, "answers")
    assert isinstance(found, Accepted)
    assert found.request == SearchRequest(request_id="r1", user_query="tv")


def test_without_id_and_key_nobody_can_be_answered():
    found = read(record(b"{}", key=None), TOPICS, "answers")
    assert isinstance(found, BadRequest)
    assert (found.request_id, found.answerable) == (None, False)


def test_a_refusal_never_repeats_the_value():
    found = read(record({"request_id": "r", "user_query": "tv", "k": "a secret"}), TOPICS, "answers")
    assert isinstance(found, BadRequest)
    assert "secret" not in found.error.message


def test_patience_counts_from_the_kafka_timestamp():
    found = read(
        record({"request_id": "r", "user_query": "tv", "timeout_ms": 500}, at=1000), TOPICS, "answers"
    )
    assert isinstance(found, Accepted)
    assert [found.remaining_ms(now) for now in (900, 1000, 1400, 1500, 1600)] == [500, 500, 100, 0, -100]


def test_a_record_without_timestamp_does_not_expire():
    found = read(record(at=-1), TOPICS, "answers")
    assert isinstance(found, Accepted)
    assert (found.sent_ms, found.remaining_ms(1e15)) == (None, 5000)


DEEP = b"[" * 5_000


@pytest.mark.parametrize(
    ("value", "request_id"),
    [
        (b"[" * 100_000, "from-key"),
        (b'{"request_id":"r1","user_query":"tv","x":' + DEEP + b"]" * 5_000 + b"}", "from-key"),
        (b'{"request_id":"\\ud800","user_query":"tv"}', "from-key"),
        (b'{"request_id":"r1","user_query":"\\ud800"}', "from-key"),
        (b'{"request_id":' + b"9" * 5_000 + b"}", "from-key"),
        (b'{"request_id":"a\\u0000b"}', "from-key"),
        (b"\xff\xfe", "from-key"),
        (b'{"request_id":"r1","user_query":"' + b"a" * REQUEST_BYTES + b'"}', "from-key"),
        (None, "from-key"),
    ],
)
def test_whatever_a_record_holds_it_is_refused_under_an_id_that_can_be_written(
    value: bytes | None, request_id: str
):
    """Each of these ended the searcher at every start, or would have been the next to do so."""
    found = read(Record("requests", 0, 7, 1000, b"from-key", value), TOPICS, "answers")
    assert isinstance(found, BadRequest)
    assert found.request_id == request_id
    assert SearchResponse(request_id=found.request_id, status=Status.REJECTED, error=found.error).to_json()


@pytest.mark.parametrize("key", [b"\xff\xfe" * 200, b"\x00", b" ", b"k" * 257])
def test_a_key_that_is_no_id_names_nobody(key: bytes):
    found = read(Record("requests", 0, 7, 1000, key, b"{}"), TOPICS, "answers")
    assert isinstance(found, BadRequest)
    assert found.request_id is None


def test_a_header_without_a_value_counts_as_absent():
    nothing: Any = None
    headers = tuple(
        (name, nothing) for name in ("kafka_correlationId", "kafka_replyTopic", "kafka_replyPartition")
    )
    found = read(record(headers=headers), TOPICS, "answers")
    assert isinstance(found, Accepted)
    assert found.address == Address("answers")


@pytest.mark.parametrize("raw", [b"1" * 5_000, b"0" * 21])
def test_a_reply_partition_of_more_digits_than_any_number_is_refused(raw: bytes):
    found = read(record(headers=(("kafka_replyPartition", raw),)), TOPICS, "answers")
    assert isinstance(found, BadRequest)
    assert found.error.code == "reply_partition"


def test_a_correlation_id_is_echoed_up_to_its_bound_and_refused_beyond():
    at, beyond = (
        read(record(headers=(("kafka_correlationId", b"c" * n),)), TOPICS, "answers")
        for n in (HEADER_BYTES, HEADER_BYTES + 1)
    )
    assert isinstance(at, Accepted)
    assert isinstance(beyond, BadRequest)
    assert (beyond.error.code, beyond.address, beyond.request_id) == (
        "correlation_id",
        Address("answers"),
        "r1",
    )


def test_a_request_without_id_is_answerable_by_its_correlation_id():
    found = read(record(b"{}", key=None, headers=(("kafka_correlationId", b"c"),)), TOPICS, "answers")
    assert isinstance(found, BadRequest)
    assert (found.request_id, found.answerable) == (None, True)

"""A body as records: what every form holds, and that the bytes of each stay as they came."""

import json
import time

import pytest

from api.bodies import HttpFault
from api.posted import Posted, records_in
from schemas.bounds import POSTED_RECORDS

ONE, TWO = b'{"a": 1.50, "b": "\\u00e9"}', b'{ "a":2 }'
STRUCTURED = (("content-type", b"application/cloudevents+json"),)


@pytest.mark.parametrize(
    ("media_type", "body", "expected"),
    [
        ("application/json", ONE, [Posted(ONE)]),
        ("application/json", b"\xef\xbb\xbf [" + ONE + b" ,\n" + TWO + b"]\n", [Posted(ONE), Posted(TWO)]),
        ("application/json", b"[1, NaN]" , None),
        ("application/json", b'["a", null]', [Posted(b'"a"'), Posted(b"null")]),
        ("application/x-ndjson", ONE + b"\r\n\n" + TWO, [Posted(ONE), Posted(TWO)]),
        ("application/x-ndjson", b"\n" * 5000 + ONE + b" \r\n\n\n" * 1000 + TWO, [Posted(ONE), Posted(TWO)]),
        ("application/jsonl", b"no json\n" + TWO, [Posted(b"no json"), Posted(TWO)]),
        ("application/cloudevents+json", ONE, [Posted(ONE, STRUCTURED)]),
        ("application/cloudevents-batch+json", b"[" + ONE + b"]", [Posted(ONE, STRUCTURED)]),
    ],
)  # fmt: skip
def test_each_form_holds_its_records(media_type: str, body: bytes, expected: list[Posted] | None) -> None:
    found = records_in(body, media_type, {})
    assert found == expected or (expected is None and isinstance(found, HttpFault))


def test_a_cloud_event_in_binary_form_has_the_headers_that_kafka_gives_it() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1 %C3%A9", "ce-type": "t", "host": "here"}
    assert records_in(ONE, "application/json", headers) == [
        Posted(
            ONE,
            (
                ("content-type", b"application/json"),
                ("ce_specversion", b"1.0"),
                ("ce_id", "1 é".encode()),
                ("ce_type", b"t"),
            ),
        )
    ]


def test_of_too_many_records_no_more_are_made_than_are_taken() -> None:
    """Those of five megabytes, two million numbers, kept all others waiting for eight seconds."""
    began = time.perf_counter()
    found = records_in(b"[" + b"1," * 1_000_000 + b"1]", "application/json", {})
    assert isinstance(found, HttpFault)
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("media_type", "body", "status"),
    [
        ("application/json", b"", 400),
        ("application/json", b"[]", 400),
        ("application/json", b"[1,]", 400),
        ("application/json", b'[{"a":1}', 400),
        ("application/json", b"[" * 1_000_000, 400),
        ("application/json", b'["\xff"', 400),
        ("application/x-ndjson", b" \n\n", 400),
        ("application/x-ndjson", b"1\n" * (POSTED_RECORDS + 1), 413),
        ("application/x-ndjson", b"1\n" * (POSTED_RECORDS * 3), 413),
        ("application/json", json.dumps([1] * (POSTED_RECORDS + 1)).encode(), 413),
    ],
)
def test_what_holds_no_records_or_too_many_is_refused_as_a_whole(media_type: str, body: bytes, status: int):
    found = records_in(body, media_type, {})
    assert isinstance(found, HttpFault)
    assert found.status == status

"""What names a line's kind and key is found without reading the rest of it, and is the same."""

import json
from datetime import UTC, datetime

import pytest

from api.judging import RecordJudge
from api.posted import Posted
from benchmarks.fuzz import records
from benchmarks.intake.strange_records import readable
from inbound.raw_records import fields_of, key_in, naming_fields_of
from schemas.settings import ApiSettings

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
CLICK = {"action_name": "click", "client_id": "ann", "object_id": "p1", "timestamp": "2026-03-10T11:00:00Z"}
SEARCH = {"user_query": "tv", "query_id": "q1", "timestamp": "2026-03-10T11:00:00Z", "hits": []}
BASE = json.dumps(CLICK)[:-1].encode()


@pytest.mark.parametrize("body", [CLICK, SEARCH, {"product_id": 7, "title": "t"}, {"client_id": None}])
def test_what_stands_beside_the_names_is_passed_over(body: dict[str, object]) -> None:
    line = json.dumps(body | {"more": {"client_id": "no", "deep": [[{"query_id": 1}]]}}).encode()
    found = naming_fields_of(line)
    assert "more" not in found
    assert found.items() <= fields_of(line).items()
    for topic in ("searches", "products"):
        assert key_in(topic, found) == key_in(topic, fields_of(line))


STRANGE = {
    "twice": BASE + b', "client_id": "bob", "client_id": 7}',
    "twice another kind": BASE + b', "action_name": null, "user_query": "tv"}',
    "escaped name": b'{"action_n\\u0061me": "click", "user_query": "tv", "query_id": "q"}',
    "mark before": b"\xef\xbb\xbf" + BASE + b"}",
    "no number": BASE + b', "x": NaN}',
    "too large a number": BASE + b', "x": 1e999, "client_id": 123456789012345678901234567890}',
    "half a pair": BASE + b', "x": "\\ud800"}',
    "half a pair as id": BASE + b', "client_id": "\\ud800"}',
    "not UTF-8 beside": BASE + b', "x": "\xff"}',
    "not UTF-8 beside, of no kind": b'{"client_id": "ann", "x": "\xff"}',
    "not UTF-8, of no kind any more": b'{"action_name": null, "x": "\xff"}',
    "cut": BASE,
    "more behind": BASE + b"} x",
    "deep": BASE + b', "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "envelope": b'{"specversion": "1.0", "id": "e", "data": ' + BASE + b"}}",
    "envelope of another version": b'{"specversion": "7", "client_id": "c", "data": ' + BASE + b"}}",
    "specversion inside": BASE + b', "x": {"specversion": "1.0"}}',
    "nobody": BASE + b', "client_id": "null", "session_id": 0}',
    "of no kind": b'{"client_id": "ann"}',
    "nothing": b"{}",
    "no object": b"[1]",
    "no value": b"null",
}


@pytest.mark.parametrize("line", STRANGE.values(), ids=STRANGE)
def test_a_strange_line_is_judged_as_by_all_its_fields(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = RecordJudge(ApiSettings(), str, NOW)
    ways = (judge.event, judge.product)
    quick = [way(0, Posted(line)) for way in ways]
    monkeypatch.setattr("api.judging.naming_fields_of", fields_of)
    assert quick == [way(0, Posted(line)) for way in ways]


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_comes_is_judged_as_by_all_its_fields(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = RecordJudge(ApiSettings(), str, NOW)
    made = [
        Posted(one.value, readable(one.headers))
        for one in records(300, seed, int(NOW.timestamp() * 1000))
        if one.topic in {"searches", "interactions", "products"} and one.value is not None
    ]
    quick = [way(0, one) for one in made for way in (judge.event, judge.product)]
    monkeypatch.setattr("api.judging.naming_fields_of", fields_of)
    assert quick == [way(0, one) for one in made for way in (judge.event, judge.product)]

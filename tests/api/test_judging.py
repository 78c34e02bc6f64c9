"""What is said of a record before it is written is what intake says of it afterwards."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.judging import FORMATS, RecordJudge, Verdict
from api.posted import Posted
from benchmarks.fuzz import records
from benchmarks.intake.strange_records import readable
from broker.records import Record
from inbound.validators import VALIDATORS
from schemas.rejections import Rejection
from schemas.settings import ApiSettings, StreamSettings

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
JUDGE = RecordJudge(ApiSettings(), lambda name: f"s.{name}", NOW)
CLICK = {"action_name": "click", "client_id": "ann", "object_id": "p1", "timestamp": "2026-03-10T11:00:00Z"}
GOLDEN = Path(__file__).parents[1] / "inbound" / "importers" / "golden"


def event(**fields: object) -> Verdict:
    return JUDGE.event(0, Posted(json.dumps(CLICK | fields).encode()))


def test_a_good_event_is_written_as_it_came_under_its_shopper_and_keeps_its_id():
    value = json.dumps(CLICK | {"event_id": "e1"}, indent=2).encode()
    verdict = JUDGE.event(3, Posted(value))
    assert verdict.result.model_dump(exclude_none=True) == {
        "index": 3, "status": "accepted", "event_id": "e1", "errors": [],
    }  # fmt: skip
    (written,) = verdict.records
    assert (written.topic, written.key, written.value, written.headers) == (
        "s.interactions",
        b"ann",
        value,
        (),
    )
    assert event().result.event_id is None
    for nothing in (None, ""):  # both mean absent, as everywhere
        assert event(action_name=nothing, user_query="tv", query_id="q").records[0].topic == "s.searches"
    assert event(action_name=[]).result.reason == "schema"
    assert (
        JUDGE.event(0, Posted(b'{"user_query": "tv", "query_id": "q", "timestamp": 1773140400}'))
        .records[0]
        .topic
        == "s.searches"
    )


@pytest.mark.parametrize(
    ("fields", "reason", "loc"),
    [
        ({"client_id": None}, "no_identity", ""),
        ({"timestamp": "2026-03-10T11:00:00"}, "naive_timestamp", "timestamp"),
        ({"timestamp": "2025-03-10T11:00:00Z"}, "too_old", "timestamp"),
        ({"action_name": "dance"}, "unknown_action", "action_name"),
        ({"object_id": None}, "no_product", ""),
        ({"items": [{"object_id": "p", "quantity": -1}]}, "schema", "items.0.quantity"),
    ],
)
def test_a_bad_event_is_told_where_and_why_and_nothing_is_written(
    fields: dict[str, object], reason: str, loc: str
):
    verdict = event(**fields)
    assert (verdict.result.status, verdict.result.reason, verdict.records) == ("refused", reason, ())
    assert (verdict.result.errors[0].loc, bool(verdict.result.errors[0].message)) == (loc, True)


def test_a_robot_s_event_is_written_and_said_to_count_for_nothing():
    verdict = event(is_bot=True)
    assert (verdict.result.status, verdict.result.reason, len(verdict.records)) == ("ignored", "bot", 1)


def test_a_product_is_written_under_its_id_and_a_deletion_without_value():
    product = JUDGE.product(0, Posted(b'{"product_id": 7, "title": "Storm shell"}'))
    assert (product.result.product_id, product.records[0].key) == ("7", b"7")
    gone = JUDGE.deletion("a/b \u00e9")
    assert (gone.result.product_id, gone.records[0].key, gone.records[0].value) == (
        "a/b é",
        "a/b é".encode(),
        None,
    )
    assert [JUDGE.deletion(i).result.reason for i in ("", "a\n", "null", "\ufffd", "x" * 257)] == [
        "key_mismatch", "key_mismatch", "key_mismatch", "undecodable_text", "key_mismatch",
    ]  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_of_whatever_comes_intake_says_the_same(seed: int):
    said = dict.fromkeys(("accepted", "refused", "ignored"), 0)
    for made in records(400, seed, int(NOW.timestamp() * 1000)):
        if made.topic not in {"searches", "interactions", "products"} or made.value is None:
            continue
        posted = Posted(made.value, readable(made.headers))
        verdict = (JUDGE.product if made.topic == "products" else JUDGE.event)(0, posted)
        said[verdict.result.status] += 1
        for out in verdict.records:
            assert (out.value, out.headers) == (posted.value, posted.headers)
            record = Record(out.topic, 1, 2, 3, out.key, out.value, out.headers)
            found = VALIDATORS[out.topic.removeprefix("s.")](record, NOW, StreamSettings())
            assert not isinstance(found, Rejection)
        assert bool(verdict.records) == (verdict.result.status != "refused")
        verdict.result.to_json()
    assert min(said["accepted"], said["refused"]) > 20


@pytest.mark.parametrize("form", FORMATS)
def test_a_foreign_record_becomes_what_its_importer_says_or_nothing(form: str):
    files = [
        GOLDEN / f"{name}.json" for name in (("ubi_queries", "ubi_events") if form == "ubi" else (form,))
    ]
    written = 0
    for case in (case for file in files for case in json.loads(file.read_text())):
        verdict = JUDGE.foreign(form, 0, Posted(json.dumps(case["foreign"]).encode()))
        ours = case.get("ours") or []
        if verdict.result.status == "accepted":
            assert [json.loads(out.value or b"") for out in verdict.records] == [one["body"] for one in ours]
            assert [out.topic for out in verdict.records] == [f"s.{one['topic']}" for one in ours]
            written += len(verdict.records)
        else:
            assert verdict.records == ()
            assert verdict.result.reason
    assert written
    assert JUDGE.foreign(form, 0, Posted(b"[1]")).result.reason == "not_object"


def test_a_request_holds_a_thousand_records_also_in_batches():
    """A body of one batch held a hundred thousand events, which kept all others waiting for many seconds."""
    track = {"type": "track", "event": "Product Clicked", "anonymousId": "a", "messageId": "m",
             "timestamp": "2026-03-10T11:00:00Z", "properties": {"product_id": "p1"}}  # fmt: skip
    judge = RecordJudge(ApiSettings(), str, NOW)
    batch = Posted(json.dumps({"batch": [track] * 500}).encode())
    one = Posted(json.dumps(track).encode())
    said = [judge.foreign("segment", n, posted) for n, posted in enumerate([batch, batch, one, batch])]
    assert [(v.result.status, v.result.reason, len(v.records)) for v in said] == [
        *[("accepted", None, 500)] * 2, *[("refused", "too_large", 0)] * 2,
    ]  # fmt: skip


def test_the_rules_are_those_of_the_settings():
    rules = ApiSettings(assume_utc=True, max_event_age=timedelta(days=400))
    judge = RecordJudge(rules, str, NOW)
    value = json.dumps(CLICK | {"timestamp": "2025-03-10T11:00:00"}).encode()
    assert judge.event(0, Posted(value)).result.status == "accepted"

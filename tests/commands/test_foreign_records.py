"""What commands make of records that anybody may have written: what cannot be read is skipped."""

import pytest

from broker.reading import Compacted
from broker.records import Record
from commands.support.command_effect import _refusal
from commands.support.topic_state import own, readable
from operations.fate_told import letter_seen, moment_of
from schemas.events import read_clean_event
from schemas.pairs import Contribution, Pair, pair_key
from schemas.training import Decision, TrainingRun

FOREIGN = [None, b"", b"{", b"[]", b'{"a": 1}', b"\xff", b"[" * 100_000]


@pytest.mark.parametrize("raw", FOREIGN)
@pytest.mark.parametrize(
    "parse", [TrainingRun.from_json, Decision.from_json, read_clean_event, Contribution.from_json]
)
def test_a_foreign_record_is_none(parse, raw):
    assert readable(parse, raw) is None


def test_a_fact_under_the_key_of_another_is_told_once():
    pair = Pair(query="tea", product_id="p1")
    records = {key: Record("pairs", 0, 0, 0, key, pair.to_json()) for key in (b"tea\tp1", b"tea\tp2", b"x")}
    assert own(Pair.from_json, lambda p: pair_key(p.query, p.product_id), Compacted(records)) == [pair]


def test_a_foreign_decision_that_holds_a_commands_id_is_no_refusal():
    assert _refusal(b'"of command c1"') is None
    assert _refusal(Decision(decision_id="d", verdict="fail", reasons=["no"]).to_json()) == "no"


@pytest.mark.parametrize("errors", [None, b"[{", b"[1]", b"{}", b'[{"loc": 1}]', b"\xff"])
def test_a_letter_whose_problems_cannot_be_read_is_told_without_them(errors):
    letter = Record("searches.dlq", 0, 3, 0, None, b"{", (("dlq.errors", errors), ("dlq.reason", b"schema")))
    seen = letter_seen(letter)
    assert (seen.topic, seen.reason, seen.problems) == ("searches", "schema", [])


@pytest.mark.parametrize(("at_ms", "year"), [(1 << 62, 9998), (-(1 << 62), 1900), (1_800_000_000_000, 2027)])
def test_a_time_that_no_calendar_has_is_told_as_one_it_has(at_ms, year):
    assert moment_of(at_ms).year == year

import json

from broker.guarding import judged
from broker.records import Record
from schemas.rejections import Reason, Rejection


def _record(value: bytes) -> Record:
    return Record("t", 0, 7, 0, None, value)


def test_a_decision_is_handed_on_as_it_is() -> None:
    assert judged(lambda r: len(r.value or b""), _record(b"abc")) == 3


def test_whatever_a_decision_raises_becomes_a_processing_error_that_names_the_place_and_no_value() -> None:
    outcome = judged(lambda r: json.loads(r.value or b""), _record(b"[" * 100_000))

    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.PROCESSING_ERROR
    assert outcome.problems[0].type == "RecursionError"
    assert "[[" not in outcome.problems[0].message

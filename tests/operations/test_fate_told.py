"""What is told of a raw record whose event was not seen."""

from dataclasses import replace

import pytest

from inbound.validators import EVENT_VALIDATORS
from operations.event_reading import Trace
from operations.fate_told import fate_told
from operations.fate_words import in_a_sentence
from schemas.settings import StreamSettings
from tests.stream.builders import T0, record

SEARCH = {"event_id": "e", "client_id": "ann", "timestamp": T0 / 1000, "user_query": "mug", "query_id": "q"}


def a_trace() -> Trace:
    return Trace(raw=[replace(record(SEARCH), timestamp_ms=T0)])


def sentence(trace: Trace, taken_in: int) -> str:
    settings = StreamSettings.load({})
    return in_a_sentence(fate_told("e", trace, settings, {("searches", 0): taken_in}, salt=None))


def test_a_record_that_nobody_foresaw_is_told_as_intake_refused_it(monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> None:
        raise RecursionError

    monkeypatch.setitem(EVENT_VALIDATORS, "searches", fails)
    assert sentence(a_trace(), 8) == "It was refused: processing error."

"""What is told of a raw record whose event was not seen."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from inbound.validators import EVENT_VALIDATORS
from operations import fates
from operations.event_reading import Trace
from operations.fate_told import fate_told
from operations.fate_words import in_a_sentence
from operations.fates import read_fate
from schemas.settings import StreamSettings
from tests.stream.builders import T0, record

SEARCH = {"event_id": "e", "client_id": "ann", "timestamp": T0 / 1000, "user_query": "mug", "query_id": "q"}


def a_trace(**changes) -> Trace:
    return Trace(raw=[replace(record(SEARCH), timestamp_ms=T0)], **changes)


def sentence(trace: Trace, taken_in: int) -> str:
    settings = StreamSettings.load({})
    return in_a_sentence(fate_told("e", trace, settings, {("searches", 0): taken_in}, salt=None))


def test_an_event_that_was_not_read_is_not_called_gone():
    assert sentence(a_trace(), 7) == "It has come; intake has not come to it yet."
    assert sentence(a_trace(), 8) == "It was accepted; its event is no longer kept."
    assert sentence(a_trace(cut={"events"}), 8) == "It was accepted; its event is not among what was read."


def test_a_record_that_nobody_foresaw_is_told_as_intake_refused_it(monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> None:
        raise RecursionError

    monkeypatch.setitem(EVENT_VALIDATORS, "searches", fails)
    assert sentence(a_trace(), 8) == "It was refused: processing error."


async def test_what_intake_has_taken_in_is_asked_before_the_topics_are_read(monkeypatch: pytest.MonkeyPatch):
    taken_in = {("searches", 0): 7}

    class Lags:
        async def committed(self, _: str) -> dict[tuple[str, int], int]:
            return dict(taken_in)

    @asynccontextmanager
    async def opened(_: object):
        yield Lags()

    async def traced(*_: object, **__: object) -> Trace:
        taken_in["searches", 0] = 8  # intake takes it in while topics are read
        return a_trace()

    monkeypatch.setattr(fates, "open_lag_reader", opened)
    monkeypatch.setattr(fates, "trace_event", traced)
    fate = await read_fate(StreamSettings.load({}), "e")
    assert in_a_sentence(fate) == "It has come; intake has not come to it yet."

"""What ``status`` shows of one look, and of two."""

import io
from typing import Any

from commands.status import StatusLook, per_s, shown
from commands.support.session import SafeConsole
from schemas.settings import Settings
from schemas.training import RunState, TrainingRun


def look(at_s: float, topics: dict[str, int], run: TrainingRun | None = None) -> StatusLook:
    facts: dict[str, Any] = {
        "kafka": "k:1", "milvus": "m", "generation": 3, "refresh_of": 2, "last_run": None, "late": 0,
        "topics": topics, "processes": {"stream": {"ready": True, "lag": 4}},
    }  # fmt: skip
    return StatusLook(at_s, facts, run)


def text_of(now: StatusLook, before: StatusLook | None) -> str:
    written = io.StringIO()
    SafeConsole(file=written, width=200, markup=False).print(shown(Settings(), now, before))
    return written.getvalue()


def test_rates_are_of_two_looks_and_a_topic_that_was_made_anew_has_none():
    before = look(10.0, {"searches": 100, "pairs": 50})
    now = look(12.0, {"searches": 130, "pairs": 7, "new": 4})
    assert per_s(now, before) == {"searches": 15.0, "pairs": 0.0, "new": 2.0}
    assert per_s(before, before)["searches"] == 0.0


def test_a_second_look_shows_rates_and_how_far_a_run_is():
    run = TrainingRun(run_id="r1", state=RunState.TRAINING, progress=0.25, detail="step 3/12, 40 pairs/s")
    first, second = look(0.0, {"searches": 10, "empty": 0}), look(2.0, {"searches": 30, "empty": 0}, run)
    alone, beside = text_of(first, None), text_of(second, first)
    assert "empty" in alone
    assert "a second" not in alone
    assert "10.0" in beside
    assert "empty" not in beside
    assert "r1: 25% step 3/12, 40 pairs/s" in beside
    assert "3 (refresh of 2)" in beside
    assert second.facts["processes"] == {"stream": {"ready": True, "lag": 4}}, "nothing is taken out of it"


def test_a_run_that_has_ended_is_not_in_progress():
    ended = TrainingRun(run_id="r1", state=RunState.DEPLOYED, progress=1.0)
    assert "r1: 100%" not in text_of(look(0.0, {}, ended), None)

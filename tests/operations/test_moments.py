"""What served at a moment, and who or what had promoted it."""

from datetime import UTC, datetime, timedelta

import pytest

from operations.moments import MomentError, history, moment, runs_at, serving_at
from schemas.training import Decision, RunState, TrainingRun

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def change(sequence: int, before: int | None, after: int, hours: float, **fields) -> Decision:
    return Decision(
        decision_id=f"main-{sequence:06d}",
        verdict="pass",
        generation_before=before,
        generation_after=after,
        at=at(hours),
        **fields,
    )


GATE = Decision(decision_id="r2", run_id="r2", verdict="pass", generation_before=1, at=at(1.9))
LOG = [
    change(1, None, 1, 0, reasons=["first"], actor="indexer"),
    GATE,
    change(2, 1, 2, 2, run_id="r2", reasons=["promote", "the gate passed"], actor="trainer"),
    # Written again after a crash
    change(2, 1, 2, 2, run_id="r2", reasons=["promote", "the gate passed"], actor="trainer"),
    Decision(
        decision_id="main-rejected-x", verdict="fail", generation_before=2, generation_after=2, at=at(3)
    ),
    change(3, 2, 1, 4, reasons=["rollback", "too slow"], actor="ann"),
]


def test_each_stretch_has_its_generation_its_cause_and_its_evidence():
    told = history(LOG)
    assert [(s.generation, s.since, s.until, s.actor) for s in told] == [
        (1, at(0), at(2), "indexer"),
        (2, at(2), at(4), "trainer"),
        (1, at(4), None, "ann"),
    ]
    assert [s.evidence for s in told] == [None, GATE, None]
    assert told[2].cause == "rollback; too slow"


def test_a_moment_belongs_to_what_had_been_published_last():
    assert serving_at(LOG, at(-1)) is None
    assert [getattr(serving_at(LOG, at(h)), "generation", None) for h in (0, 1.9, 2, 3.9, 4, 400)] == [
        1,
        1,
        2,
        2,
        1,
        1,
    ]


def test_before_the_first_generation_nothing_served():
    assert history([]) == []
    assert serving_at([], datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_a_run_is_in_progress_until_it_has_ended():
    run = TrainingRun(run_id="20260301-010000-abcd", state=RunState.DEPLOYED, at=at(2))
    assert [[s for _, s in runs_at([run], at(h))] for h in (0.5, 1.5, 2.5)] == [
        [],
        ["in progress"],
        ["deployed"],
    ]


def test_a_moment_without_zone_is_utc_and_nonsense_is_refused():
    assert moment("2026-03-01") == START == moment("2026-03-01T01:00+01:00")
    with pytest.raises(MomentError, match="ISO 8601"):
        moment("yesterday")

"""A run is resumed at its first unfinished step."""

import pytest

from schemas.training import RunState
from trainer.run.folder import RunFolder, RunOutcome, failed


def test_a_finished_step_is_not_done_again(tmp_path):
    run = RunFolder(tmp_path)
    calls = []

    def work() -> RunOutcome:
        calls.append(1)
        return RunOutcome(state=RunState.SKIPPED)

    assert (
        run.once("step", RunOutcome, work)
        == run.once("step", RunOutcome, work)
        == RunOutcome(state=RunState.SKIPPED)
    )
    assert calls == [1]


def test_a_step_that_failed_leaves_no_marker(tmp_path):
    run = RunFolder(tmp_path)

    def work() -> RunOutcome:
        raise failed("x", "broken")

    with pytest.raises(Exception, match="broken"):
        run.once("step", RunOutcome, work)
    assert run.find("step", RunOutcome) is None


def test_leftovers_of_a_killed_attempt_are_removed(tmp_path):
    run = RunFolder(tmp_path)
    (run.fresh("model") / "half.bin").write_text("x")
    assert list(run.fresh("model").iterdir()) == []
    assert not run.absent("model").exists()

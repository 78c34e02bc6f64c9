"""What a deployment verb tells of what became of its command."""

import json

import pytest

from commands.deploy import _tell
from commands.support.command_effect import CommandOutcome, Effect
from schemas.releases import LivePointer
from tests.contracts.examples import AT, RELEASE

POINTER = LivePointer(sequence=5, live=RELEASE, cause="promote", command_id="c1", at=AT)


@pytest.mark.parametrize(
    ("outcome", "word"), [(CommandOutcome.PENDING, "pending: "), (CommandOutcome.REFUSED, "refused: ")]
)
def test_a_command_without_effect_is_told_by_its_outcome_and_ends_with_1(
    capsys: pytest.CaptureFixture[str], outcome: CommandOutcome, word: str
):
    with pytest.raises(SystemExit) as ended:
        _tell("promote", Effect(outcome, None, "still [pending] after 60 s", 60), as_json=True)
    told = capsys.readouterr()
    assert (ended.value.code, told.out, told.err) == (1, "", f"{word}still [pending] after 60 s\n")


def test_what_serves_after_a_command_is_told(capsys: pytest.CaptureFixture[str]):
    effect = Effect(CommandOutcome.DONE, POINTER, "done", 0.25)
    _tell("promote", effect, as_json=False)
    serves = f"generation {POINTER.live.generation} serves (sequence {POINTER.sequence})"
    assert capsys.readouterr().out == f"promote done in 250 ms: {serves}\n"
    _tell("promote", effect, as_json=True)
    assert json.loads(capsys.readouterr().out)["pointer"] == POINTER.model_dump(mode="json")


def test_a_first_build_that_was_aborted_is_done_though_nothing_serves(capsys: pytest.CaptureFixture[str]):
    effect = Effect(CommandOutcome.DONE, None, "aborted before anything served", 0.25)
    _tell("abort", effect, as_json=False)
    assert capsys.readouterr().out == "abort done in 250 ms: nothing serves yet\n"
    _tell("abort", effect, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"action": "abort", "seconds": 0.25, "pointer": None}

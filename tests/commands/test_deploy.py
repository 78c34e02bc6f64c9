"""What a deployment verb tells of what became of its command."""

import json

import pytest

from commands.deploy import _tell
from commands.support.command_effect import CommandOutcome, Effect
from operations.command_outcome import other_model
from schemas.releases import LivePointer, Promotion, Release, ReleaseState
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


def test_a_rollback_that_undoes_a_refresh_alone_says_so_and_names_the_model_before(
    capsys: pytest.CaptureFixture[str],
):
    refreshed = RELEASE.model_copy(update={"generation": RELEASE.generation + 1, "kind": "refresh"})
    back = POINTER.model_copy(update={"cause": "rollback", "previous": refreshed})
    _tell("rollback", Effect(CommandOutcome.DONE, back, "done", 0.25, before=2), as_json=False)
    told = " ".join(capsys.readouterr().out.split())
    assert "only the refresh was undone" in told
    assert "`searchloop rollback --model` goes back to another one, generation 2" in told
    _tell("rollback", Effect(CommandOutcome.DONE, back, "done", 0.25), as_json=True)
    assert "no generation of another model can serve" in json.loads(capsys.readouterr().out)["note"]
    other = back.model_copy(update={"previous": refreshed.model_copy(update={"model_sha256": "f" * 64})})
    _tell("rollback", Effect(CommandOutcome.DONE, other, "done", 0.25, before=2), as_json=True)
    assert "note" not in json.loads(capsys.readouterr().out)


def test_the_model_before_is_the_newest_other_one_that_can_serve():
    def a(generation: int, sha: str, state: ReleaseState = ReleaseState.RETIRED) -> Release:
        changed = {"generation": generation, "model_sha256": sha, "state": state, "rolled_back": None}
        return RELEASE.model_copy(update=changed)

    others = [a(1, "1" * 64), a(2, "2" * 64), a(3, "3" * 64, ReleaseState.DROPPED), RELEASE]
    assert other_model(POINTER, others) == 2
    assert other_model(POINTER, [RELEASE]) is None
    assert other_model(None, others) is None


def test_a_rollback_of_the_model_goes_to_what_served_before_it():
    """That one is open in every searcher, the newest may not be."""

    def a(generation: int, state: ReleaseState = ReleaseState.RELEASED) -> Release:
        changed = {"generation": generation, "model_sha256": f"{generation}" * 64, "rolled_back": None}
        return RELEASE.model_copy(update={**changed, "state": state})

    refreshed = RELEASE.model_copy(update={"generation": 7})
    promotion = Promotion(sequence=4, at=AT, before=a(3))
    pointer = POINTER.model_copy(
        update={"live": refreshed, "previous": RELEASE, "cause": "refresh", "refreshed": promotion}
    )
    others = [a(4), RELEASE, refreshed]
    assert other_model(pointer, [a(3), *others]) == 3
    assert other_model(pointer, [a(3, ReleaseState.DROPPED), *others]) == 4


def test_a_first_build_that_was_aborted_is_done_though_nothing_serves(capsys: pytest.CaptureFixture[str]):
    effect = Effect(CommandOutcome.DONE, None, "aborted before anything served", 0.25)
    _tell("abort", effect, as_json=False)
    assert capsys.readouterr().out == "abort done in 250 ms: nothing serves yet\n"
    _tell("abort", effect, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"action": "abort", "seconds": 0.25, "pointer": None}

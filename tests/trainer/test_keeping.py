"""What a verdict rests on is in the store: another machine derives it again, whoever was killed when."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest

from artefacts.folders import StoreAwayError, StoredFolderError, StoredFolders
from artefacts.located import folders_of, open_folders, use_store
from commands.support.kept_evidence import evidence_folder, report_page
from retrieval.model_folder import ModelError
from schemas.settings import Settings, TrainerSettings
from schemas.training import REPORT, Decision, RunState, TrainingRun
from tests.trainer.run_folders import a_run
from trainer import keeping, steps
from trainer.data import snapshot as snapshots
from trainer.data.snapshot import Manifest
from trainer.gate.rederivation import rederive
from trainer.keeping import FORGETS, evidence_names, keep_evidence
from trainer.run.folder import RunFolder
from trainer.run.request import Request

RUN = "20260301-120000-1a2b3c4d"
PAGE = b"<p>zorvel</p>"


@pytest.fixture(params=["folder", "elsewhere"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StoredFolders:
    address = str(tmp_path / "store") if request.param == "folder" else f"memory://{uuid4()}"
    return open_folders(address, tmp_path / "cache", 1 << 30)


def nobody() -> bool:
    """Nobody is to be forgotten."""
    return False


def judged(data_dir: Path) -> Decision:
    decision = a_run(data_dir / "runs" / RUN)
    (data_dir / "runs" / RUN / REPORT).write_bytes(PAGE)
    return decision.model_copy(update=evidence_names(decision.evidence, PAGE))


def ended_run(decision: Decision) -> TrainingRun:
    return TrainingRun(
        run_id=RUN, state=RunState.DEPLOYED, snapshot=decision.snapshot, report=decision.report
    )


def test_a_verdict_is_derived_again_and_its_page_read_where_the_run_never_was(
    store: StoredFolders, tmp_path: Path
) -> None:
    decision = judged(tmp_path / "trainer")
    run = RunFolder.of(tmp_path / "trainer", RUN)
    assert keep_evidence(run, decision, store, nobody) == decision
    assert not (run.path / "evidence").exists()
    shutil.rmtree(tmp_path / "trainer")
    use_store(store)
    elsewhere = Settings(data_dir=tmp_path / "operator")
    found = rederive(decision, evidence_folder(decision, elsewhere))
    assert (found.agrees, found.checks) == (True, len(decision.checks))
    page = report_page(ended_run(decision), elsewhere)
    assert page is not None
    assert page.read_bytes() == PAGE


def test_what_was_trained_on_and_the_model_are_not_kept_with_it(store: StoredFolders, tmp_path: Path) -> None:
    decision = judged(tmp_path)
    keep_evidence(RunFolder.of(tmp_path, RUN), decision, store, nobody)
    kept = store.local(decision.snapshot or "")
    names = {p.relative_to(kept).as_posix() for p in kept.rglob("*") if p.is_file()}
    assert names == {"contents.json", *decision.evidence}
    assert not any("model" in name or "vectors" in name or "train" in name for name in names)


def test_what_was_removed_or_never_put_is_one_sentence_or_no_page(
    store: StoredFolders, tmp_path: Path
) -> None:
    decision = judged(tmp_path / "trainer")
    use_store(store)
    elsewhere = Settings(data_dir=tmp_path / "operator")
    with pytest.raises(StoredFolderError, match="is not in the store"):
        evidence_folder(decision, elsewhere)
    assert report_page(ended_run(decision), elsewhere) is None
    earlier = decision.model_copy(update={"snapshot": None, "report": None})
    keep_evidence(RunFolder.of(tmp_path / "trainer", RUN), earlier, store, nobody)
    assert store.found() == {}
    assert "not on this machine" in rederive(earlier, evidence_folder(earlier, elsewhere)).refused


def test_a_record_that_names_something_else_leads_nowhere(store: StoredFolders, tmp_path: Path) -> None:
    use_store(store)
    (tmp_path / REPORT).write_bytes(PAGE)
    model = store.put("models", "ab" * 32, tmp_path / REPORT)
    for name in (model, str(tmp_path), f"{model}/{REPORT}"):
        run = TrainingRun(run_id="../../x", state=RunState.DEPLOYED, report=name)
        assert report_page(run, Settings(data_dir=tmp_path / "operator")) is None


@pytest.mark.parametrize("moved", [1, 2])
def test_a_process_that_is_killed_while_it_puts_is_followed_by_one_that_puts_all(
    moved: int, tmp_path: Path
) -> None:
    """It is killed (-9) as it is about to show the snapshot, and then the report."""
    decision = judged(tmp_path / "trainer")
    (tmp_path / "decision").write_bytes(decision.to_json())
    program = f"""
import os, pathlib, sys
from artefacts.located import open_folders
from schemas.training import Decision
from trainer.keeping import keep_evidence
from trainer.run.folder import RunFolder
here, moves, rename = pathlib.Path(sys.argv[1]), [], pathlib.Path.rename
def move(path, target):
    moves.append(target)
    if len(moves) == {moved}:
        os.kill(os.getpid(), 9)
    return rename(path, target)
pathlib.Path.rename = move
keep_evidence(
    RunFolder.of(here / "trainer", "{RUN}"),
    Decision.from_json((here / "decision").read_bytes()),
    open_folders(str(here / "store"), here / "cache", 1 << 30),
    lambda: False,
)
"""
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, env=dict(os.environ))
    assert ended.returncode == -9
    store = open_folders(str(tmp_path / "store"), tmp_path / "cache", 1 << 30)
    assert len(store.found()) == moved - 1
    run = RunFolder.of(tmp_path / "trainer", RUN)
    assert keep_evidence(run, decision, store, nobody) == decision
    assert set(store.found()) == {decision.snapshot, decision.report}
    assert rederive(decision, store.local(decision.snapshot or "")).agrees
    assert not (run.path / "evidence").exists()


@pytest.mark.parametrize("answers", [[True], [False, True]], ids=["before", "meanwhile"])
def test_what_may_name_a_forgotten_shopper_is_not_in_the_store_even_after_a_killed_attempt(
    answers: list[bool], store: StoredFolders, tmp_path: Path
) -> None:
    decision = judged(tmp_path)
    run = RunFolder.of(tmp_path, RUN)
    keep_evidence(run, decision, store, nobody)  # killed (-9) after it had put both, before it decided
    (tmp_path / REPORT).write_bytes(b"another run")
    another = store.put("reports", "ab" * 32, tmp_path / REPORT)
    asked = iter(answers)
    found = keep_evidence(run, decision, store, lambda: next(asked))
    assert (found.snapshot, found.report, found.reasons) == (None, None, [*decision.reasons, FORGETS])
    assert set(store.found()) == {another}
    assert keep_evidence(run, found, store, nobody) == found


class Away:
    """A store that answers from the ``after``-th question on."""

    def __init__(self, after: int) -> None:
        self.left = after

    def put(self, *_: object) -> str:
        self.left -= 1
        if self.left >= 0:
            raise StoreAwayError("the store s3://shop does not answer")
        return ""


def test_a_verdict_waits_for_a_store_that_is_away_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "AGAIN_S", 0.001)
    decision = judged(tmp_path)
    run = RunFolder.of(tmp_path, RUN)
    run.report(RunState.EVALUATING, 0.96, "putting")
    assert keep_evidence(run, decision, cast("StoredFolders", Away(20)), nobody) == decision
    told = run.progress()
    assert (told.state, told.progress) == (RunState.EVALUATING, 0.96)
    assert told.detail == "waiting: the store s3://shop does not answer"


def test_a_verdict_is_not_lost_with_a_store_that_stays_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "AWAY_S", 0.0)
    decision = judged(tmp_path)
    found = keep_evidence(RunFolder.of(tmp_path, RUN), decision, cast("StoredFolders", Away(20)), nobody)
    assert (found.snapshot, found.report, found.verdict) == (None, None, decision.verdict)
    assert "does not answer" in found.reasons[-1]


def test_a_model_in_a_store_that_is_away_is_waited_for_and_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "AGAIN_S", 0.001)
    away = Away(3)

    def resolve(model: str) -> Path:
        try:
            away.put()
        except StoreAwayError as error:
            raise ModelError(str(error)) from error
        return tmp_path / model

    monkeypatch.setattr(steps, "resolve_model", resolve)
    run = RunFolder(tmp_path)
    assert steps._folder(run, "m") == tmp_path / "m"
    away.left = 1 << 20
    monkeypatch.setattr(keeping, "AWAY_S", 0.0)
    with pytest.raises(StoreAwayError):  # no end of the run: it is started again
        steps._folder(run, "m")


def test_the_run_tells_of_no_snapshot_that_its_published_decision_does_not_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision, run = judged(tmp_path), RunFolder.of(tmp_path, RUN)
    run.commit("decision", decision)
    request, manifest = run.find("request", Request), run.find("snapshot", Manifest)
    assert request is not None
    assert manifest is not None
    request = request.model_copy(update={"settings": TrainerSettings(data_dir=tmp_path)})
    monkeypatch.setattr(snapshots, "may_name_forgotten", lambda *_: True)
    kept = steps.keep(run, request, manifest, decision)
    assert kept.snapshot is None
    assert run.find("decision", Decision) == kept
    assert folders_of(request.settings).found() == {}

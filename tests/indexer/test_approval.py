"""What is needed before a candidate is built.

A verdict on its weights, and files where models of ours lie.
"""

from pathlib import Path
from typing import Any

import pytest

from indexer.approval import REMEMBERED, Approvals, composed_otherwise, misplaced, model_folders
from indexer.commands import claimed
from retrieval.document import COMPOSITION
from schemas.bounds import NAME_CHARS
from schemas.releases import Candidate, Ranking
from schemas.training import Decision


def approvals(**fields: Any) -> Approvals:
    found = Approvals()
    found.take(
        Decision.model_validate(
            {"decision_id": "d", "verdict": "pass", "candidate_sha256": "new", "run_id": "r1", **fields}
        )
    )
    return found


def candidate(**fields: Any) -> Candidate:
    return Candidate.model_validate({"model": "m", "model_sha256": "new", "dim": 4, "run_id": "r1", **fields})


def test_weights_that_passed_or_were_forced_with_a_reason_are_approved() -> None:
    assert approvals().objection(candidate()) is None
    assert approvals(verdict="forced", reasons=["a drill"]).objection(candidate()) is None
    assert approvals().objection(candidate(run_id=None)) is None


@pytest.mark.parametrize(
    "fields",
    [{"verdict": "fail"}, {"verdict": "inconclusive"}, {"verdict": "forced"}, {"candidate_sha256": None}],
)
def test_weights_that_nobody_let_pass_are_not(fields: dict[str, Any]) -> None:
    """Whoever could write a command deployed any folder.

    Garbage went live within 35 s, and history said that the gate had passed.
    """
    assert "no decision on these weights" in (approvals(**fields).objection(candidate()) or "")


def test_of_the_refreshes_of_a_model_only_the_newest_are_remembered() -> None:
    found = Approvals()
    for number in range(REMEMBERED + 2):
        found.take(
            Decision.model_validate(
                {
                    "decision_id": "d",
                    "kind": "refresh",
                    "verdict": "pass",
                    "candidate_sha256": "new",
                    "run_id": f"r{number}",
                }
            )
        )
    held = [found.objection(candidate(kind="refresh", run_id=f"r{n}")) for n in (1, 2, REMEMBERED + 1)]
    assert [why is None for why in held] == [False, True, True]


def test_a_refusal_names_no_weights_that_would_do() -> None:
    assert "new" not in (approvals().objection(candidate(model_sha256="other")) or "").split()


def test_a_verdict_is_that_of_its_own_run() -> None:
    assert "not that of run r2" in (approvals().objection(candidate(run_id="r2")) or "")


def test_a_candidate_ranks_as_it_was_judged() -> None:
    judged = Ranking(coefficients={"dense": 1.0, "words": 0.2}, language="english")
    found = approvals(candidate_ranking=judged)
    assert found.objection(candidate(ranking=judged)) is None
    for run in ("r1", None):
        assert "another ranking" in (found.objection(candidate(run_id=run)) or "")
        other = judged.model_copy(update={"coefficients": {"dense": 1.0, "words": 50.0}})
        assert "another ranking" in (found.objection(candidate(run_id=run, ranking=other)) or "")


def test_a_verdict_on_a_refresh_lets_nobody_build_and_the_other_way_round() -> None:
    assert approvals(kind="refresh").objection(candidate(kind="refresh")) is None
    assert "no decision" in (approvals(kind="refresh").objection(candidate()) or "")
    assert "no decision" in (approvals().objection(candidate(kind="refresh")) or "")


def test_a_memory_lies_where_models_lie(tmp_path: Path) -> None:
    def said(path: Path) -> str | None:
        ranking = Ranking(coefficients={"dense": 1.0, "memory": 1.0}, artefacts={"memory": (str(path), "0")})
        return misplaced(
            candidate(model="base", ranking=ranking), base_model="base", folders=model_folders(tmp_path, "")
        )

    assert said(tmp_path / "runs" / "r1" / "memory") is None
    assert said(tmp_path / "refreshes" / "r1" / "memory") is None
    assert "does not lie in a folder" in (said(tmp_path / "elsewhere") or "")


def test_a_later_refusal_takes_no_approval_back() -> None:
    found = approvals()
    found.take(Decision(decision_id="main-rejected-x", verdict="fail", candidate_sha256="new"))
    assert found.objection(candidate()) is None


def test_models_lie_in_the_runs_or_in_a_folder_of_the_settings(tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (tmp_path / "runs" / "r1").mkdir(parents=True)
    (tmp_path / "runs" / "link").symlink_to(outside)
    folders = model_folders(tmp_path, f" {tmp_path / 'more'} ,")

    def why(model: str, vectors: str | None = None) -> str | None:
        return misplaced(candidate(model=model, vectors=vectors), base_model="base", folders=folders)

    inside = str(tmp_path / "runs" / "r1" / "model")
    assert why(inside, str(tmp_path / "runs" / "r1" / "vectors.npz")) is None
    assert why("base") is None
    assert why(str(tmp_path / "more" / "m")) is None
    for bad in (
        str(outside),
        str(tmp_path / "runs" / ".." / "elsewhere"),
        str(tmp_path / "runs" / "link"),
        "model",
        "",
    ):
        assert "does not lie" in (why(bad) or ""), bad
    assert "does not lie" in (why(inside, "/etc/shadow") or "")


def test_what_was_measured_on_documents_of_another_composition_is_not_built() -> None:
    assert composed_otherwise(candidate(composition=COMPOSITION)) is None
    said = composed_otherwise(candidate(composition=COMPOSITION + 1)) or ""
    assert f"composition {COMPOSITION + 1}" in said
    assert f"by {COMPOSITION}:" in said


def test_who_a_command_says_it_is_from_is_marked_as_claimed() -> None:
    assert claimed("guard") == "guard (claimed)"
    assert len(claimed("x" * NAME_CHARS)) == NAME_CHARS

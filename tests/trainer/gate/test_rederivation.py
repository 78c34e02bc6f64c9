"""A decision is derived again from the files of its run: the same numbers, or a reason why not."""

import polars as pl
import pytest

from tests.trainer.run_folders import AT, GOOD, a_run
from trainer.gate.case import Case, digests
from trainer.gate.decision import build_decision
from trainer.gate.rederivation import rederive


def test_a_decision_is_derived_again_to_the_last_number(tmp_path):
    decision = a_run(tmp_path / "run")
    found = rederive(decision, tmp_path / "run")
    assert decision.verdict == "pass"
    assert (found.agrees, found.refused, found.differences) == (True, "", [])
    assert (found.verdict, found.checks) == ("pass", len(decision.checks))
    assert (decision.tries, decision.limits["min_eval_queries"]) == (3, 10)


def test_a_rejection_is_derived_again_too(tmp_path):
    decision = a_run(tmp_path / "run", good={**GOOD, "candidate": 0.1})
    assert decision.verdict == "fail"
    assert rederive(decision, tmp_path / "run").agrees


@pytest.mark.parametrize(
    "name",
    [
        "snapshot/pairs.parquet",
        "evaluation/results.parquet",
        "request.json",
        "past.json",
        "split/qrels.parquet",
    ],
)
def test_another_file_is_refused_by_its_digest(tmp_path, name):
    decision = a_run(tmp_path / "run")
    path = tmp_path / "run" / name
    path.write_bytes(path.read_bytes() + b" ")
    assert rederive(decision, tmp_path / "run").refused == f"{name} is not the file that was judged"


def test_a_missing_file_or_folder_is_refused(tmp_path):
    decision = a_run(tmp_path / "run")
    assert "not on this machine" in rederive(decision, tmp_path / "elsewhere").refused
    (tmp_path / "run" / "snapshot" / "clients.parquet").unlink()
    assert rederive(decision, tmp_path / "run").refused == "snapshot/clients.parquet is missing"


def test_a_verdict_or_number_that_was_told_otherwise_differs(tmp_path):
    decision = a_run(tmp_path / "run")
    checks = [c.model_copy(update={"delta": 0.5}) if c.name == "vs_live" else c for c in decision.checks]
    found = rederive(decision.model_copy(update={"verdict": "fail", "checks": checks}), tmp_path / "run")
    assert not found.agrees
    assert [text.split(":")[0] for text in found.differences] == [
        "the verdict was fail, derived again it is pass",
        "vs_live.delta",
    ]


def test_scores_that_are_not_those_of_the_rankings_differ(tmp_path):
    decision = a_run(tmp_path / "run")
    path = tmp_path / "run" / "evaluation" / "results.parquet"
    pl.read_parquet(path).with_columns(ndcg10=pl.lit(0.5)).write_parquet(path)
    found = rederive(decision.model_copy(update={"evidence": digests(tmp_path / "run")}), tmp_path / "run")
    assert any("not those of their first ten" in text for text in found.differences)


def test_another_model_in_the_folder_differs(tmp_path):
    decision = a_run(tmp_path / "run")
    (tmp_path / "run" / "model" / "a.safetensors").write_bytes(b"others")
    assert rederive(decision, tmp_path / "run").differences == [
        "the model in the folder is not the one that was judged"
    ]


def test_pinned_queries_are_part_of_the_evidence(tmp_path):
    a_run(tmp_path / "run")
    folder = tmp_path / "run" / "evaluation"
    (folder / "pinned.jsonl").write_text('{"query": "zorvel", "products": ["p0-0"], "k": 2}\n')
    pl.DataFrame({"query": ["zorvel"], "top": [["p1-1", "p0-1", "p0-0"]]}).write_parquet(
        folder / "pinned.parquet"
    )
    decision = build_decision(Case.read(tmp_path / "run"), at=AT)
    pinned = next(c for c in decision.checks if c.name == "pinned")
    assert (decision.verdict, pinned.verdict) == ("fail", "fail")
    assert "'zorvel' has not p0-0 in its first 2" in pinned.reason
    assert "evaluation/pinned.parquet" in decision.evidence

"""The rows of a refresh: what a fitted ranking must hold, and what keeps a refresh from serving."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from schemas.training import Check
from tests.trainer.gate.test_verdict import LIMITS, SHOWN, evidence
from trainer.evaluation.fusion import MIN_QUERIES, Fitted
from trainer.gate.refresh_checks import REFRESH_ROWS, kept, refit_checks, refresh_checks
from trainer.gate.verdict import overall

PAGE = Path(__file__).resolve().parents[3] / "docs" / "gate.md"
ENOUGH = Fitted({"dense": 1.0, "memory": 0.5}, queries=MIN_QUERIES)
UNMEASURED = [Check(name="ranking_kept", verdict="pass", reason="")]
NARROW = SHOWN.model_copy(update={"new": 0.0})


def test_a_ranking_that_is_surely_better_is_taken() -> None:
    checks = refit_checks(evidence(0.05), ENOUGH, LIMITS)
    assert not kept(checks)
    assert overall(checks) == "pass"
    no_worse = LIMITS.model_copy(update={"gate_min_gain": -0.005})
    assert not kept(refit_checks(evidence(0.0), ENOUGH, no_worse)), "as an operator lets models pass"


def test_live_s_ranking_is_kept_where_the_new_one_loses_hides_new_products_or_knows_too_little() -> None:
    narrow = replace(evidence(0.01), exposure={"candidate": NARROW, "live": SHOWN})
    lost = replace(
        evidence(0.01), best_in_10={"live": np.ones(9, dtype=bool), "candidate": np.zeros(9, dtype=bool)}
    )
    rare = evidence(0.0).segments["rare"]
    buried = evidence(0.0).ndcg10["live"] - np.where(rare, 0.04, -0.05)
    for case, fitted, why in (
        (evidence(-0.02), ENOUGH, "refit_vs_live"),
        (evidence(0.0), ENOUGH, "refit_vs_live"),
        (evidence(0.003, noise=0.1), ENOUGH, "refit_vs_live"),
        (narrow, ENOUGH, "diversity_new_products"),
        (evidence(0.0, ndcg10={**evidence(0.0).ndcg10, "candidate": buried}), ENOUGH, "segment_rare"),
        (lost, ENOUGH, "catastrophes"),
        (evidence(0.05), Fitted(queries=MIN_QUERIES - 1), "too few"),
    ):
        (check,) = refit_checks(case, fitted, LIMITS)
        assert kept([check])
        assert (check.verdict, why in check.reason) == ("pass", True), check


def test_foul_data_and_answers_that_change_too_much_keep_it_from_serving() -> None:
    good = evidence(0.0)
    assert overall(refresh_checks(good, LIMITS, UNMEASURED)) == "pass"
    assert overall(refresh_checks(replace(good, overlap=0.1), LIMITS, UNMEASURED)) == "inconclusive"
    gained = refit_checks(evidence(0.05), ENOUGH, LIMITS)
    assert overall(refresh_checks(replace(good, overlap=0.1), LIMITS, gained)) == "pass"
    assert good.data is not None
    foul = good.data.model_copy(update={"client_share": 0.9})
    assert overall(refresh_checks(replace(good, data=foul), LIMITS, UNMEASURED)) == "fail"
    unpinned = replace(good, pinned=None, problems={"pinned": "line 1"})
    assert overall(refresh_checks(unpinned, LIMITS, UNMEASURED)) == "fail"


def test_what_serves_and_cannot_be_read_is_replaced_rather_than_kept() -> None:
    gone = replace(evidence(0.0), overlap=None, problems={"live": "it was removed"})
    checks = refresh_checks(gone, LIMITS, UNMEASURED)
    assert overall(checks) == "pass"
    assert [c.reason for c in checks if c.alarm] == ["it was removed"]


def test_the_page_lists_the_rows_of_a_refresh() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## The rows of a refresh")[2].partition("\n## ")[0]
    first = " ".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", first)) == REFRESH_ROWS

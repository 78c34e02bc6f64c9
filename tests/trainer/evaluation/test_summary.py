"""The numbers that a person reads are those of the evaluation."""

import pytest

from tests.trainer.evaluations import an_evaluation
from trainer.evaluation.ranking_metrics import RANKING_METRICS
from trainer.evaluation.summary import changes, summarise


def test_systems_stand_best_first_with_their_means():
    found = summarise(an_evaluation(), seed=1)
    assert list(found.means) == ["candidate", "base", "bm25"]
    assert found.means["candidate"] == pytest.approx({m.name: 0.6 for m in RANKING_METRICS})
    assert found.scores["candidate"]["all"].ci_low < 0.6 < found.scores["candidate"]["all"].ci_high


def test_differences_are_paired_by_query_and_given_per_segment():
    found = {(d.ours, d.theirs, d.segment): d for d in summarise(an_evaluation(), seed=1).differences}
    whole = found["candidate", "base", "all"]
    assert (whole.mean, whole.n) == (pytest.approx(0.1), 40)
    assert 0 < whole.low < 0.1 < whole.high
    certain = found["candidate", "base", "novel_query"]  # every fourth query: all of them better by the same
    assert (certain.mean, certain.low, certain.high, certain.n) == (*[pytest.approx(0.2)] * 3, 10)
    assert ("candidate", "live", "all") not in found
    assert ("candidate", "base", "zero_shot") not in found


def test_no_queries_give_no_numbers():
    assert summarise(an_evaluation(0), seed=1).means == {}


def test_changes_run_from_the_greatest_gain_to_the_greatest_loss_with_titles():
    found = changes(an_evaluation(4), {"p1": "One"}, before="base", after="candidate")
    assert [(c.query, round(c.after - c.before, 3)) for c in found] == [
        ("query 00", 0.2),
        ("query 02", 0.2),
        ("query 01", 0.0),
        ("query 03", 0.0),
    ]
    assert (found[0].top_after, found[0].relevant) == (["One", "p2"], ["One"])


def test_a_system_that_was_not_scored_changes_nothing():
    assert changes(an_evaluation(4), {}, before="live", after="candidate") == []

"""The gate: which candidates pass, which fail, and when it cannot be said."""

import numpy as np
import pytest

from trainer.artefact import Artefact
from trainer.gate import Evidence, Limits, decide, overall, scores, sound

LIMITS = Limits(min_eval_queries=100, min_gain=0.0, max_loss_base=0.005, max_catastrophes=0.05, resamples=1000, seed=1)
SOUND = Artefact(finite=True, dim=384, norm_error=1e-7, parity=1.0, mean_cosine=0.2, effective_rank=70.0)


def evidence(candidate_gain=0.0, *, n=400, noise=0.0, **changes) -> Evidence:
    """Live and base at about 0.6, BM25 at 0.5, and a candidate that is better by the gain."""
    rng = np.random.default_rng(5)
    live = rng.uniform(0.3, 0.9, n)
    candidate = live + candidate_gain + rng.normal(0, noise, n)
    everybody = np.ones(n, dtype=bool)
    parts = {
        "ndcg10": {"candidate": candidate, "live": live, "base": live, "bm25": live - 0.1, "popularity": live - 0.4},
        "best_in_10": {"candidate": everybody, "live": everybody},
        "segments": {"all": everybody, "unseen": np.arange(n) % 4 == 0, "head": np.arange(n) % 10 == 0},
        "artefacts": {"candidate": SOUND, "live": SOUND, "base": SOUND},
        "problems": {},
    }
    return Evidence(**{**parts, **changes})


def by_name(found):
    return {check.name: check for check in found[1]}


def test_a_model_equal_to_live_is_inconclusive():
    verdict, checks = decide(evidence(), LIMITS)
    assert verdict == "inconclusive"
    assert [c.name for c in checks if c.verdict != "pass"] == ["vs_live"]
    assert by_name((verdict, checks))["vs_live"].delta == 0.0


def test_a_clear_gain_passes_with_its_numbers():
    verdict, checks = decide(evidence(0.03, noise=0.1), LIMITS)
    live = by_name((verdict, checks))["vs_live"]
    assert verdict == "pass"
    assert live.n == 400
    assert live.ci_low is not None
    assert live.ci_high is not None
    assert 0 < live.ci_low < live.delta < live.ci_high
    assert live.delta == pytest.approx(live.candidate_value - live.baseline_value)


def test_a_clear_loss_fails():
    found = decide(evidence(-0.03, noise=0.1), LIMITS)
    assert found[0] == "fail"
    assert by_name(found)["vs_live"].verdict == by_name(found)["vs_base"].verdict == "fail"


def test_a_gain_within_the_noise_is_inconclusive():
    assert decide(evidence(0.001, noise=0.2), LIMITS)[0] == "inconclusive"


def test_too_few_queries_are_inconclusive_however_good_the_candidate():
    found = decide(evidence(0.2, n=99), LIMITS)
    assert found[0] == "inconclusive"
    assert by_name(found)["data_minimum"].verdict == "inconclusive"
    assert by_name(found)["vs_live"].verdict == "pass"


def test_a_gain_overall_does_not_excuse_a_lost_segment():
    good = evidence(0.05)
    candidate = good.ndcg10["candidate"].copy()
    candidate[good.segments["unseen"]] -= 0.1
    found = decide(evidence(ndcg10={**good.ndcg10, "candidate": candidate}), LIMITS)
    assert by_name(found)["segment_unseen"].verdict == "fail"
    assert by_name(found)["vs_live"].verdict == "pass"
    assert found[0] == "fail"


def test_a_small_segment_is_reported_and_does_not_veto():
    good = evidence(0.05)
    candidate = good.ndcg10["candidate"].copy()
    candidate[good.segments["head"]] -= 0.2
    check = by_name(decide(evidence(ndcg10={**good.ndcg10, "candidate": candidate}), LIMITS))["segment_head"]
    assert (check.verdict, check.n) == ("pass", 40)
    assert check.delta == pytest.approx(-0.15)


def test_a_candidate_worse_than_bm25_fails():
    good = evidence(0.03)
    found = decide(evidence(ndcg10={**good.ndcg10, "candidate": good.ndcg10["live"] + 0.03, "bm25": good.ndcg10["live"] + 0.2}), LIMITS)
    assert by_name(found)["vs_bm25"].verdict == "fail"
    assert found[0] == "fail"


@pytest.mark.parametrize("system", ["live", "base", "bm25", "candidate"])
def test_a_missing_system_fails_with_its_reason(system):
    good = evidence(0.03)
    numbers = {name: values for name, values in good.ndcg10.items() if name != system}
    verdict, checks = decide(evidence(ndcg10=numbers, problems={system: "ModelError: gone"}), LIMITS)
    assert verdict == "fail"
    assert any(c.verdict == "fail" and "ModelError: gone" in c.reason for c in checks)


def test_values_that_are_not_numbers_fail():
    good = evidence(0.03)
    broken = good.ndcg10["live"].copy()
    broken[3] = np.nan
    assert decide(evidence(ndcg10={**good.ndcg10, "live": broken}), LIMITS)[0] == "fail"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"finite": False}, "artefact_finite"),
        ({"dim": 12}, "artefact_dim"),
        ({"norm_error": 0.01}, "artefact_unit_norm"),
        ({"parity": 0.99}, "artefact_parity"),
        ({"mean_cosine": 0.31}, "artefact_collapse_cosine"),
        ({"effective_rank": 34.0}, "artefact_collapse_rank"),
    ],
)
def test_a_broken_artefact_fails_and_may_not_even_be_forced(change, name):
    found = decide(evidence(0.03, artefacts={"candidate": SOUND.model_copy(update=change), "live": SOUND, "base": SOUND}), LIMITS)
    assert [c.name for c in found[1] if c.verdict == "fail"] == [name]
    assert not sound(found[1])


def test_an_unexamined_candidate_is_not_sound():
    assert not sound(decide(evidence(0.03, artefacts={"live": SOUND}), LIMITS)[1])
    assert sound(decide(evidence(-0.1), LIMITS)[1])


def test_losing_the_best_product_of_many_queries_fails():
    kept = np.arange(400) % 10 != 0
    found = decide(evidence(0.05, best_in_10={"candidate": kept, "live": np.ones(400, dtype=bool)}), LIMITS)
    assert by_name(found)["catastrophes"].candidate_value == pytest.approx(0.1)
    assert found[0] == "fail"


def test_no_queries_at_all_are_inconclusive():
    empty = evidence(n=0)
    assert decide(empty, LIMITS)[0] == "inconclusive"
    assert scores(empty, LIMITS)["live"] == {}


def test_the_same_evidence_gives_the_same_numbers():
    assert decide(evidence(0.01, noise=0.1), LIMITS) == decide(evidence(0.01, noise=0.1), LIMITS)


def test_no_checks_are_no_pass():
    assert overall([]) == "fail"


def test_every_score_has_an_interval_around_its_mean():
    found = scores(evidence(0.02, noise=0.1), LIMITS)
    assert set(found) == {"candidate", "live", "base", "bm25", "popularity"}
    score = found["candidate"]["unseen"]
    assert score.n == 100
    assert score.ci_low < score.mean < score.ci_high

"""A ranker is kept where it finds what a sum cannot say, and only there."""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import numpy as np
import pytest

from retrieval.ranking import rank
from schemas.releases import Ranking

pytestmark = pytest.mark.model
SUM = Ranking(coefficients={"dense": 1.0, "words": 1.0})


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    for name, few in (("EPOCHS", 20), ("NETWORKS", 3)):
        monkeypatch.setattr(f"trainer.evaluation.ranker_fit.{name}", few)


def examples(count, *, both, seed=3):
    """Queries with 12 candidates, one of them taken.

    ``both``: the one where words and cosine agree most, which no sum finds; otherwise the one of the greatest
    sum, with noise.
    """
    from trainer.evaluation.ranker_fit import Example

    rng, made = np.random.default_rng(seed), []
    for number in range(count):
        values = rng.random((12, 2))
        worth = values.min(axis=1) if both else values.sum(axis=1) + rng.normal(scale=0.3, size=12)
        names = [f"p{n:02}" for n in range(12)]
        parts = {"dense": dict(zip(names, values[:, 0].tolist(), strict=True))}
        parts["words"] = dict(zip(names, values[:, 1].tolist(), strict=True))
        made.append(Example.of(f"query {number}", parts, {names[int(worth.argmax())]: 1.0}, SUM))
    return made


def test_what_a_sum_cannot_say_is_learned_kept_and_worth_what_it_says(tmp_path):
    from retrieval.ranker import Ranker
    from trainer.evaluation.ranker_fit import fit_ranker, keep

    fitted = fit_ranker(examples(240, both=True), seed=1)
    assert fitted.facts.kept
    assert fitted.facts.gain > 2 * fitted.facts.error
    own = keep(fitted, SUM, tmp_path / "ranker")
    assert own.coefficients["ranker"] == fitted.coefficient > 0
    ranker = Ranker.load(own)
    fresh = examples(200, both=True, seed=4)
    gains = []
    for one in fresh:
        parts = {
            "dense": dict(zip(one.ids, one.rows[:, 0].tolist(), strict=True)),
            "words": dict(zip(one.ids, one.rows[:, 1].tolist(), strict=True)),
        }
        parts["ranker"] = ranker.judge(parts)
        order = [product for product, _ in rank(parts, own, 12)]
        scores = np.array([-order.index(i) for i in one.ids], dtype=float)
        gains.append(one.ndcg10(scores) - one.ndcg10(one.sums))
    assert np.mean(gains) == pytest.approx(fitted.facts.gain, abs=0.025)
    again = keep(fit_ranker(examples(240, both=True), seed=1), SUM, tmp_path / "again")
    assert again.artefacts["ranker"][1] == own.artefacts["ranker"][1]  # the same queries give the same one


def test_where_the_sum_says_all_nothing_is_kept(tmp_path):
    from trainer.evaluation.ranker_fit import fit_ranker, keep

    fitted = fit_ranker(examples(210, both=False), seed=2)
    assert (fitted.facts.kept, fitted.networks, fitted.facts.queries) == (False, None, 210)
    assert fitted.facts.gain <= fitted.facts.error
    assert keep(fitted, SUM, tmp_path / "ranker") == SUM
    assert not (tmp_path / "ranker").exists()


def test_with_few_queries_or_candidates_that_nothing_tells_apart_nothing_is_fitted():
    from trainer.evaluation.ranker_fit import MIN_QUERIES, Example, fit_ranker

    few = fit_ranker(examples(MIN_QUERIES - 1, both=True), seed=1)
    assert (few.networks, few.facts.queries, few.facts.gain) == (None, MIN_QUERIES - 1, None)
    parts = {"dense": {"a": 0.5, "b": 0.5}, "words": {}}
    same = [Example.of(f"query {n}", parts, {"a": 1.0}, SUM) for n in range(MIN_QUERIES)]
    assert fit_ranker(same, seed=1).networks is None
    untaught = [Example.of(f"query {n}", parts, {"gone": 1.0}, SUM) for n in range(MIN_QUERIES)]
    assert fit_ranker(untaught, seed=1).facts.queries == 0

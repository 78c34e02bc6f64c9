"""What repeating pairs hardly teaches, and weights with logQ do.

Popularity, among products that are all relevant.
"""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import pytest

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def learnt():
    from benchmarks.learning.planted_shop import Planted, Variant, learn

    shop = Planted.of(5)
    variants = {
        "unweighted": Variant(),
        "repeated": Variant(repeated=True),
        "weighted": Variant("linear"),
        "weighted_logq": Variant("linear", beta=1.0),
    }
    return {name: learn(shop, variant, 5) for name, variant in variants.items()}


def test_repeating_a_pair_as_often_as_it_was_bought_teaches_less_than_half_of_what_a_weight_does(learnt):
    plain = learnt["unweighted"]["ndcg10"]
    assert learnt["weighted"]["ndcg10"] - plain > 0.08
    assert learnt["repeated"]["ndcg10"] - plain < 0.5 * (learnt["weighted"]["ndcg10"] - plain)


def test_logq_teaches_more_popularity_and_costs_relevance(learnt):
    assert learnt["weighted_logq"]["ndcg10"] > learnt["weighted"]["ndcg10"] + 0.05
    assert learnt["weighted_logq"]["precision10"] < learnt["weighted"]["precision10"]

"""What a pair weighs and when it is seen."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Action
from schemas.settings import TrainerSettings
from tests.trainer.builders import WORTH, a_pair
from trainer.data.popularity import Popularity
from trainer.data.snapshot import frames
from trainer.data.weights import Weighting, log_popularity, shuffle_labels, weigh


def _weigh(
    pairs,
    *,
    newest_day=100,
    half_life_days=10.0,
    worth=WORTH,
    min_clients=1,
    max_client_share=1.0,
    weight_map="log",
):
    snapshot = frames(pairs, [])
    weighting = Weighting(
        worth, half_life_days, min_clients, max_client_share, weight_map, newcomer_deviations=0
    )
    return weigh(snapshot.pairs, snapshot.clients, weighting, newest_day=newest_day)


def test_a_credit_one_half_life_old_counts_half():
    found = _weigh([a_pair("q", "a", {100: 3}), a_pair("q", "b", {90: 6})])
    assert found["credit"].to_list() == pytest.approx([3.0, 3.0])


def test_weights_are_logarithmic_with_mean_one():
    found = _weigh([a_pair("q", "a", {100: 1}), a_pair("q", "b", {100: 7})])
    assert found["weight"].to_list() == pytest.approx([0.5, 1.5])


def test_beyond_the_cap_more_credit_weighs_nothing_more():
    found = _weigh([a_pair("q", "a", {100: 64}), a_pair("q", "b", {100: 100_000})])
    assert found["weight"].to_list() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
    ("weight_map", "ratios"),
    [
        ("constant", [1, 1, 1, 1]),
        ("linear", [1, 0.5, 0.05, 1]),
        ("inverse", [1, 1 / 2, 1 / 3, 1]),
        ("inverse_sqrt", [1, 2**-0.5, 3**-0.5, 1]),
    ],
)
def test_the_other_maps_look_at_the_query_alone(weight_map, ratios):
    pairs = [
        a_pair("q", "a", {100: 200}),
        a_pair("q", "b", {100: 100}),
        a_pair("q", "c", {100: 1}),
        a_pair("rare", "a", {100: 2}),
    ]
    weights = _weigh(pairs, weight_map=weight_map)["weight"].to_numpy()
    assert weights / weights[0] == pytest.approx(ratios)
    assert weights.mean() == pytest.approx(1.0)


def test_equal_credits_have_equal_ranks():
    pairs = [a_pair("q", "a", {100: 2}), a_pair("q", "b", {100: 2}), a_pair("q", "c", {100: 1})]
    weights = _weigh(pairs, weight_map="inverse")["weight"].to_numpy()
    assert weights / weights[0] == pytest.approx([1, 1, 1 / 3])


def test_popularity_is_the_share_of_all_credit_and_never_zero():
    found = log_popularity(
        _weigh([a_pair("q", "a", {100: 7}), a_pair("r", "a", {100: 2}), a_pair("q", "b", {100: 5})])
    )
    assert found["product_id"].to_list() == ["a", "b"]
    assert np.exp(found["log_popularity"].to_numpy()) == pytest.approx([10 / 16, 6 / 16])
    assert log_popularity(_weigh([])).is_empty()


def test_actions_weigh_what_the_settings_say_and_a_refund_takes_back_its_purchase():
    worth = Popularity.of(TrainerSettings())
    bought = a_pair("q", "a", {99: 2}, action=Action.PURCHASE)
    returned = a_pair("q", "a", {100: -2}, action=Action.REFUND)
    clicked = a_pair("q", "b", {100: 2})
    assert _weigh([bought, returned, clicked], worth=worth, half_life_days=1e9)["product_id"].to_list() == [
        "b"
    ]
    assert _weigh([clicked], worth=worth)["credit"].to_list() == pytest.approx([0.2])


def test_pairs_of_too_few_clients_are_left_out():
    lonely, common = a_pair("q", "a", {100: 9}, clients=1), a_pair("q", "b", {100: 2}, clients=2)
    assert _weigh([lonely, common], min_clients=2)["product_id"].to_list() == ["b"]


def test_one_clients_clicking_counts_only_up_to_its_share():
    alone, many = a_pair("q", "a", {100: 8}, clients=1), a_pair("q", "b", {100: 8}, clients=4)
    assert _weigh([alone, many], max_client_share=0.5)["credit"].to_list() == pytest.approx([4.0, 8.0])


@given(
    st.lists(
        st.tuples(st.sampled_from("qrs"), st.sampled_from("abc"), st.integers(1, 100), st.integers(1, 99)),
        min_size=1,
        max_size=20,
    )
)
def test_weights_do_not_depend_on_the_order_of_the_pairs(events):
    merged = {(q, p): {d: c} for q, p, d, c in events}
    pairs = [a_pair(q, p, days) for (q, p), days in merged.items()]
    assert _weigh(pairs).equals(_weigh(pairs[::-1]))
    assert math.isclose(_weigh(pairs)["weight"].mean(), 1.0)


def test_shuffled_labels_keep_queries_and_products_but_not_their_tie():
    pairs = _weigh([a_pair(f"q{i:02}", f"p{i:02}", {100: 1}) for i in range(50)])
    shuffled = shuffle_labels(pairs, 7)
    assert shuffled.equals(shuffle_labels(pairs, 7))
    assert sorted(shuffled["product_id"]) == sorted(pairs["product_id"])
    assert sum(q[1:] == p[1:] for q, p in shuffled.select("query", "product_id").iter_rows()) < 10

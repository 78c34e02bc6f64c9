"""What an operator calls popular becomes the credit of a pair."""

import polars as pl
import pytest

from schemas.events import Action
from schemas.pairs import Pair
from schemas.settings import TrainerSettings
from trainer.data.popularity import Popularity
from trainer.data.snapshot import MAX_SUM, frames


def _pair(query, product, **actions):
    """Counts by action: (credits, units, revenue in cents), all on day 1."""
    return Pair(
        query=query,
        product_id=product,
        days={
            1: {
                Action(name): (round(1000 * credit), units, cents)
                for name, (credit, units, cents) in actions.items()
            }
        },
    )


PAIRS = [
    _pair("q", "cheap", click=(50, 0, 0), purchase=(4, 4, 2_000)),
    _pair("q", "dear", click=(5, 0, 0), add_to_cart=(2, 0, 0), purchase=(1, 1, 90_000)),
    _pair("q", "returned", purchase=(2, 2, 8_000), refund=(-2, -2, -8_000)),
    _pair("q", "seen", view=(3, 0, 0)),
]


def _credits(formula="", **settings):
    popularity = Popularity.of(TrainerSettings(popularity=formula, **settings))
    return dict(
        popularity.credits_by_pair(frames(PAIRS, []).pairs).select("product_id", "credit").iter_rows()
    )


def test_without_a_formula_the_worths_of_the_actions_add_up():
    assert _credits() == pytest.approx({"cheap": 4 + 5.0, "dear": 1 + 0.8 + 0.5, "seen": 0.15})


def test_any_metric_can_be_popularity():
    assert _credits("revenue") == pytest.approx({"cheap": 20.0, "dear": 900.0})
    assert _credits("units") == pytest.approx({"cheap": 4.0, "dear": 1.0})
    assert _credits("carts") == pytest.approx({"dear": 2.0})


def test_an_absurd_sum_is_bounded_and_not_a_fault():
    absurd = [_pair("q", "absurd", purchase=(1, 1, 1 << 70)), _pair("q", "owed", purchase=(1, 1, -(1 << 70)))]
    assert frames(absurd, []).pairs["revenue_minor"].to_list() == [MAX_SUM, -MAX_SUM]


def test_a_formula_is_applied_to_the_sums():
    assert _credits("purchases / (clicks + 10)") == pytest.approx({"cheap": 4 / 60, "dear": 1 / 15})
    assert _credits("max(purchases, min(clicks, 9)) - 3") == pytest.approx({"cheap": 6.0, "dear": 2.0})


def test_what_is_not_a_positive_number_earns_nothing():
    assert _credits("1 / (clicks - 5)") == pytest.approx({"cheap": 1 / 45})  # dear divides by zero
    assert _credits("sqrt(clicks - 10)") == pytest.approx({"cheap": 40**0.5})
    assert _credits("0 - clicks") == {}


def test_only_the_actions_of_the_formula_count_as_engagement():
    assert Popularity.of(TrainerSettings(popularity="purchases")).actions == ["purchase", "refund"]
    assert Popularity.of(TrainerSettings(weight_view=0)).actions == [
        "add_to_cart",
        "click",
        "purchase",
        "refund",
        "remove_from_cart",
    ]


def test_no_worth_at_all_gives_no_pairs():
    assert _credits(weight_click=0, weight_view=0, weight_add_to_cart=0, weight_purchase=0) == {}


def test_a_factor_weighs_each_row_before_the_formula():
    rows = frames(PAIRS, []).pairs
    halved = Popularity.of(TrainerSettings(popularity="log1p(units)")).credits_by_pair(
        rows, factor=pl.lit(0.5)
    )
    assert dict(halved.select("product_id", "credit").iter_rows())["cheap"] == pytest.approx(1.0986, abs=1e-4)


def test_no_rows_give_no_pairs():
    assert Popularity.of(TrainerSettings()).credits_by_pair(frames([], []).pairs).is_empty()

"""What ``pairs`` shows beside the counts: the trainer's weights, and every day."""

import pytest

from commands.pairs import day_rows, weights_of
from schemas.events import Action
from schemas.pairs import Pair
from schemas.settings import TrainerSettings
from tests.stream.builders import contribution, fold

PAIRS = list(fold([
    contribution(1000, position=(0, 0, 0), day=20000, client="a" * 16, units=2),
    contribution(1000, position=(1, 0, 0), day=20014, client="b" * 16, units=1),
    contribution(1000, position=(2, 0, 0), day=20014, client="c" * 16, action=Action.CLICK),
    contribution(1000, position=(3, 0, 0), day=20014, client="b" * 16, query="tea"),
    contribution(1000, position=(4, 0, 0), day=20014, client="c" * 16, query="tea"),
]).values())  # fmt: skip


def test_weights_are_those_of_training_with_mean_one():
    weights = weights_of(PAIRS, TrainerSettings())
    # A purchase one half-life old, one of today, a click
    assert weights["mug", "p1"][0] == pytest.approx(0.5 + 1 + 0.1)
    assert sum(weight for _, weight in weights.values()) / len(weights) == pytest.approx(1)


def test_what_training_leaves_out_has_no_weight():
    assert set(weights_of(PAIRS, TrainerSettings(min_clients=3))) == {("mug", "p1")}
    assert weights_of([], TrainerSettings()) == {}


def test_days_come_newest_first_in_whole_units():
    [mug] = [p for p in PAIRS if p.query == "mug"]
    assert day_rows(mug) == [
        ("p1", "2024-10-18", "click", 1.0, 0, 0.0),
        ("p1", "2024-10-18", "purchase", 1.0, 1, 0.0),
        ("p1", "2024-10-04", "purchase", 1.0, 2, 0.0),
    ]
    assert day_rows(Pair(query="mug", product_id="p1")) == []


def test_a_day_that_no_calendar_has_is_shown_and_weighs_nothing():
    foreign = Pair(query="mug", product_id="p2", days={1 << 40: {Action.CLICK: (1000, 1, 0)}})
    assert day_rows(foreign) == [("p2", f"day {1 << 40}", "click", 1.0, 1, 0.0)]
    assert weights_of([*PAIRS, foreign], TrainerSettings()) == weights_of(PAIRS, TrainerSettings())

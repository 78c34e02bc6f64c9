"""How many queries a gain needs."""

import numpy as np
import pytest

from trainer.evaluation.power import needs, power_at, queries_needed


def test_half_the_gain_needs_four_times_the_queries():
    assert queries_needed(0.18, 0.01, 0.8) == pytest.approx(4 * queries_needed(0.18, 0.02, 0.8), abs=4)


def test_the_number_is_what_a_simulation_finds():
    n = queries_needed(0.2, 0.02, 0.9)
    means = np.random.default_rng(1).normal(0.02, 0.2, (2000, n)).mean(axis=1)
    assert np.mean(means - 1.645 * 0.2 / np.sqrt(n) > 0) == pytest.approx(0.9, abs=0.03)
    assert power_at(0.2, 0.02, n) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("asked", [(0.0, 0.02, 0.8), (0.2, 0.0, 0.8), (0.2, 0.02, 1.0)])
def test_what_cannot_be_asked_is_refused(asked):
    with pytest.raises(ValueError, match="above 0"):
        queries_needed(*asked)


def test_the_table_has_every_gain_at_both_powers():
    assert [(n.gain, n.power) for n in needs(0.2, (0.01, 0.05))] == [
        (0.01, 0.8),
        (0.01, 0.9),
        (0.05, 0.8),
        (0.05, 0.9),
    ]

"""Which state of a training is kept, by the scores of its validation queries."""

import numpy as np
import pytest

from trainer.learning.training_progress import latest_sound

RNG = np.random.default_rng(3)
START = RNG.uniform(0.2, 0.8, 60)


def moved(by: float, noise: float) -> np.ndarray:
    return START + by + RNG.normal(0, noise, len(START))


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ({2: START}, 2),
        ({2: START, 4: START}, 4),
        ({2: START, 4: START + 0.1}, 4),
        ({2: START, 4: START - 0.1, 6: START - 0.2}, 2),
        # Noise is no reason to go back to a state that has learnt less
        ({2: moved(0.0, 0.0), 4: moved(-0.001, 0.1)}, 4),
        ({2: moved(0.0, 0.0), 4: moved(-0.1, 0.1)}, 2),
    ],
)
def test_an_earlier_state_is_kept_only_where_a_later_one_has_shown_harm(scores, kept):
    assert latest_sound(scores) == kept


def test_harm_that_comes_in_small_steps_is_measured_from_the_best_and_seen():
    scores = {step: moved(-0.02 * step, 0.02) for step in range(1, 8)}
    assert latest_sound(scores) <= 2

"""Waiting as long as something moves."""

import pytest

from commands.support.patience import Patience, StuckError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def waiting(clock: Clock) -> Patience:
    return Patience("train", "the end of the run", quiet_s=300, advice="Look into the log.", clock=clock)


def test_a_wait_lasts_for_hours_while_something_moves() -> None:
    clock = Clock()
    patience = waiting(clock)
    for step in range(100):
        patience.saw(step)
        clock.now += 299


def test_a_wait_ends_when_nothing_moved_and_says_which_step_for_what_and_what_to_do() -> None:
    clock = Clock()
    patience = waiting(clock)
    patience.saw("training 40 %")
    clock.now += 290
    patience.saw("training 40 %")
    clock.now += 11
    with pytest.raises(StuckError) as stuck:
        patience.saw("training 40 %")
    assert str(stuck.value) == (
        "train: it waits for the end of the run, and nothing moved for 300 s; what it saw last: "
        "training 40 %. Look into the log."
    )


def test_a_wait_in_which_nothing_was_ever_seen_ends_too() -> None:
    clock = Clock()
    patience = waiting(clock)
    clock.now += 301
    with pytest.raises(StuckError, match="nothing at all"):
        patience.saw(None)

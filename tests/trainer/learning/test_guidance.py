"""What an operator is told to expect follows from the plan that training would take."""

import pytest

from schemas.settings import TrainerSettings
from trainer.learning.guidance import SIZES, advise
from trainer.learning.plan import plan


@pytest.mark.parametrize("pairs", SIZES)
def test_the_advice_is_the_plan_of_a_run_with_as_many_pairs(pairs):
    settings = TrainerSettings()
    advice, chosen = (
        advise(pairs, settings, "cpu"),
        plan(settings, new_pairs=pairs, old_pairs=0, from_live=False, device="cpu"),
    )
    assert (advice.steps, advice.batch_size) == (chosen.steps, chosen.batch_size)
    assert advice.minutes is not None
    assert advice.minutes > 0


def test_more_pairs_never_take_less_time_nor_fewer_steps():
    found = [advise(pairs, TrainerSettings(), "cpu") for pairs in SIZES]
    assert [a.steps for a in found] == sorted(a.steps for a in found)


def test_too_few_pairs_are_told_to_be_skipped():
    assert "skipped" in advise(49, TrainerSettings(), "cpu").expect
    assert "skipped" not in advise(50, TrainerSettings(), "cpu").expect


def test_nobody_has_measured_a_gpu_so_no_time_is_promised():
    assert advise(5000, TrainerSettings(), "cuda").minutes is None

"""A training goes on from what is whole, and with less when the device is too small."""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import pytest

from schemas.settings import TrainerSettings
from trainer.learning.plan import plan

pytestmark = pytest.mark.model


def test_when_memory_does_not_suffice_the_batch_is_halved_until_it_does():
    import torch

    from trainer.learning.checkpoints import smaller_until_it_fits

    tried = []

    def attempt(chosen):
        tried.append((chosen.batch_size, chosen.steps))
        if chosen.batch_size > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return chosen

    first = plan(TrainerSettings(), new_pairs=1413, old_pairs=0, from_live=False, device="cpu")
    assert smaller_until_it_fits(attempt, first).batch_size == 32
    assert tried == [(128, 30), (64, 60), (32, 120)]


def test_a_model_that_fits_with_no_batch_is_a_fault():
    import torch

    from trainer.learning.checkpoints import smaller_until_it_fits

    def attempt(chosen):
        raise torch.OutOfMemoryError(f"not even {chosen.batch_size}")

    with pytest.raises(torch.OutOfMemoryError, match="not even 8"):
        smaller_until_it_fits(
            attempt, plan(TrainerSettings(), new_pairs=1413, old_pairs=0, from_live=False, device="cpu")
        )


def test_a_checkpoint_that_a_kill_cut_off_is_removed_and_the_one_before_is_found(tmp_path):
    from trainer.learning.checkpoints import newest_checkpoint

    assert newest_checkpoint(tmp_path / "none") is None
    for step, whole in ((9, True), (10, True), (11, False)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if whole:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert not (tmp_path / "checkpoint-11").exists()

"""In which order pairs are seen."""

import numpy as np

from trainer.learning.sampling import batches


def test_a_batch_holds_the_replay_share_of_old_pairs_and_every_new_pair_comes_once_per_round():
    new, old = np.arange(8), np.arange(100, 200)
    drawn = batches(new, old, steps=4, batch_size=8, replay_share=0.5, seed=1)
    assert [int((rows >= 100).sum()) for rows in drawn] == [4, 4, 4, 4]
    assert sorted(np.concatenate(drawn[:2])[np.concatenate(drawn[:2]) < 100]) == list(range(8))


def test_batches_are_the_same_for_a_seed_and_others_for_another():
    new, old = np.arange(50), np.arange(0)
    first, again, other = (
        batches(new, old, steps=3, batch_size=16, replay_share=0.5, seed=s) for s in (1, 1, 2)
    )
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_with_fewer_pairs_than_a_batch_no_pair_is_doubled():
    drawn = batches(np.arange(3), np.arange(3, 5), steps=2, batch_size=64, replay_share=0.4, seed=1)
    assert [sorted(rows.tolist()) for rows in drawn] == [[0, 1, 2, 3, 4]] * 2

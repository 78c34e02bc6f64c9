"""The loss equals its definition, written out in loops, and the library's own where the two mean the same."""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import math

import pytest

pytestmark = pytest.mark.model


def one_way(sources, targets, weights, left, columns, ids, is_known, scale, log_q, beta):
    """The losses of each row.

    Its own targets share the goal by weight, its other known ones are hidden, each column competes once.
    """
    first = {product: i for i, product in reversed(list(enumerate(ids)))}
    losses = []
    for i, source in enumerate(sources):
        own = {}
        for other, target, weight in zip(sources, targets, weights, strict=True):
            if other == source:
                own[target] = own.get(target, 0.0) + weight
        scores = {
            t: scale * float(left[i] @ columns[at]) - beta * log_q[t]
            for t, at in first.items()
            if t in own or not is_known(source, t)
        }
        bottom = math.log(sum(math.exp(s) for s in scores.values()))
        losses.append(sum(w / sum(own.values()) * (bottom - scores[t]) for t, w in own.items()))
    return losses


def by_loops(q, p, w, known, left, right, hard, hard_ids, scale, log_q, beta, *, symmetric, spread):
    losses = one_way(
        q, p, w, left, [*right, *hard], [*p, *hard_ids], lambda a, b: (a, b) in known, scale, log_q, beta
    )
    if symmetric:
        back = one_way(p, q, w, right, left, q, lambda a, b: (b, a) in known, scale, log_q, 0.0)
        losses = [(a + b) / 2 for a, b in zip(losses, back, strict=True)]
    apart = [right[p.index(product)] for product in sorted(set(p))]
    mean_cosine = sum(float(a @ b) for a in apart for b in apart) / len(apart) ** 2
    return sum(a * b for a, b in zip(w, losses, strict=True)) / len(w) + spread * mean_cosine


def a_loss(q, p, w=None, known=(), log_q=None, **options):
    import torch

    from trainer.learning.loss import EngagementLoss, Table

    known = torch.tensor(list(known), dtype=torch.int64).reshape(-1, 2)
    options = {"scale": 20.0, **options}
    return EngagementLoss(
        None,
        Table(torch.tensor(q), torch.tensor(p), torch.tensor(w or [1.0] * len(q)), known, log_q),
        **options,
    )


def some_vectors(*counts):
    import torch

    torch.manual_seed(2)
    return [torch.nn.functional.normalize(torch.randn(n, 8), dim=-1) for n in counts]


@pytest.mark.parametrize(
    ("symmetric", "beta", "spread"),
    [(False, 0.0, 0.0), (True, 0.0, 0.0), (False, 0.5, 0.0), (False, 0.0, 0.7)],
)
def test_the_loss_equals_the_double_loop(symmetric, beta, spread):
    import torch

    q, p, w = [0, 0, 1, 2, 3, 1, 0], [0, 1, 1, 3, 4, 5, 1], [1.0, 2.0, 0.5, 1.5, 1.0, 0.3, 0.7]
    extra = [(2, 0), (3, 6), (9, 9)]
    hard_ids = [6, 2, 1, 6]
    left, right, hard = some_vectors(7, 7, 4)
    log_q = torch.log_softmax(torch.randn(10), 0)
    loss = a_loss(q, p, w, extra, log_q, scale=7.0, symmetric=symmetric, beta=beta, spread=spread)
    found = loss.of_vectors(torch.arange(7), 3.0 * left, right, hard, torch.tensor(hard_ids))
    known = set(zip(q, p, strict=True)) | set(extra)
    wanted = by_loops(
        q,
        p,
        w,
        known,
        left,
        right,
        hard,
        hard_ids,
        7.0,
        log_q.tolist(),
        beta,
        symmetric=symmetric,
        spread=spread,
    )
    assert found.item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("symmetric", [False, True])
def test_with_weight_one_and_nothing_to_mask_it_is_the_library_s_own_loss(symmetric):
    import torch
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    left, right, hard = (v.requires_grad_() for v in some_vectors(6, 6, 6))
    directions = ("query_to_doc", "doc_to_query") if symmetric else ("query_to_doc",)
    theirs = MultipleNegativesRankingLoss(
        torch.nn.Identity(), scale=20.0, directions=directions, partition_mode="per_direction"
    )
    columns = [left, right] if symmetric else [left, right, hard]
    wanted = theirs.compute_loss_from_embeddings(columns, None)
    ours = a_loss(range(6), range(6), scale=20.0, symmetric=symmetric)
    found = ours.of_vectors(torch.arange(6), left, right, *([] if symmetric else [hard, torch.arange(6, 12)]))
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    for a, b in zip(torch.autograd.grad(found, columns), torch.autograd.grad(wanted, columns), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_known_positive_of_another_row_pushes_nothing():
    import torch

    vectors = some_vectors(2)[0]
    other = vectors.flip(0)
    crossed = [(0, 1), (1, 0)]
    assert a_loss([0, 1], [0, 1], known=crossed).of_vectors(torch.arange(2), vectors, other).item() == 0.0
    assert a_loss([0, 1], [0, 1]).of_vectors(torch.arange(2), vectors, other).item() > 0.0


@pytest.mark.parametrize("symmetric", [False, True])
def test_what_has_the_vector_of_a_positive_pushes_nothing(symmetric):
    import torch

    one, other = some_vectors(2)[0]
    same = torch.stack([one, one])
    assert a_loss([0, 1], [0, 1], symmetric=symmetric).of_vectors(torch.arange(2), same, same).item() == 0.0
    mined = torch.stack([one, other])
    loss = a_loss([0, 1], [0, 1], symmetric=symmetric, scale=1.0)
    # The other one is a negative
    assert loss.of_vectors(torch.arange(2), same, same, mined, torch.tensor([2, 3])).item() > 0.0
    assert loss.of_vectors(torch.arange(2), same, same, mined[:1], torch.tensor([2])).item() == 0.0


def test_a_pair_pulls_by_its_weight_whoever_shares_its_batch():
    import torch

    def pull(weights):
        left, right = some_vectors(3, 3)
        left.requires_grad_()
        (gradient,) = torch.autograd.grad(
            a_loss([0, 1, 2], [0, 1, 2], weights).of_vectors(torch.arange(3), left, right), left
        )
        return gradient[0]

    assert torch.allclose(pull([2.0, 1.0, 1.0]), 2 * pull([1.0, 5.0, 1.0]))


@pytest.mark.slow
def test_two_processes_give_the_gradient_of_one_with_both_batches(tmp_path):
    import torch

    torch.multiprocessing.spawn(_one_of_two, args=(str(tmp_path / "meet"), tmp_path), nprocs=2)
    halves = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    weight, loss, inputs = _small_task()
    loss.of_vectors(torch.arange(6), *(x @ weight for x in inputs), torch.arange(6, 12)).backward()
    assert torch.allclose((halves[0] + halves[1]) / 2, weight.grad, atol=1e-6)


def _small_task():
    weight = some_vectors(8)[0].requires_grad_()
    loss = a_loss(
        [0, 1, 2, 3, 0, 5],
        [0, 1, 2, 3, 4, 5],
        [1.0, 2.0, 1.0, 0.5, 1.0, 0.5],
        [(0, 7), (2, 5)],
        symmetric=True,
        spread=0.5,
    )
    return weight, loss, some_vectors(6, 6, 6)


def _one_of_two(rank, meet, folder):
    import torch

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=2)
    weight, loss, inputs = _small_task()
    half = slice(3 * rank, 3 * rank + 3)
    rows = torch.arange(6)[half]
    loss.of_vectors(rows, *(x[half] @ weight for x in inputs), torch.arange(6, 12)[half]).backward()
    torch.save(weight.grad, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()

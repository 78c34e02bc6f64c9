"""The loss equals its definition, written out in loops."""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import math

import pytest

pytestmark = pytest.mark.model


def by_loops(q, p, w, known, left, right, hard, hard_ids, scale, log_q, beta, *, symmetric):
    total = 0.0
    for i in range(len(q)):
        own = scale * float(left[i] @ right[i]) - beta * log_q[p[i]]
        scores = [own]
        columns = [(p[j], right[j]) for j in range(len(q)) if j != i] + list(zip(hard_ids, hard, strict=True))
        for product, vector in columns:
            if (q[i], product) not in known and p[i] != product:
                scores += [scale * float(left[i] @ vector) - beta * log_q[product]]
        loss = math.log(sum(math.exp(s) for s in scores)) - own
        if symmetric:
            back = [scale * float(left[i] @ right[i])]
            back += [scale * float(left[j] @ right[i]) for j in range(len(q)) if j != i and (q[j], p[i]) not in known and q[j] != q[i]]
            loss = (loss + math.log(sum(math.exp(s) for s in back)) - back[0]) / 2
        total += w[i] * loss
    return total / sum(w)


@pytest.mark.parametrize(("symmetric", "beta"), [(False, 0.0), (True, 0.0), (False, 0.5)])
def test_the_loss_equals_the_double_loop(symmetric, beta):
    import torch

    from trainer.loss import EngagementLoss

    torch.manual_seed(2)
    q, p, w = [0, 0, 1, 2, 3, 1], [0, 1, 1, 3, 4, 5], [1.0, 2.0, 0.5, 1.5, 1.0, 0.3]
    extra = [(2, 0), (3, 6), (9, 9)]
    known = set(zip(q, p, strict=True)) | set(extra)
    hard_ids = [6, 2, 1]
    left, right, hard = (torch.nn.functional.normalize(torch.randn(n, 8), dim=-1) for n in (6, 6, 3))
    log_q = torch.log_softmax(torch.randn(10), 0)
    loss = EngagementLoss(
        torch.tensor(q),
        torch.tensor(p),
        torch.tensor(w),
        torch.tensor(extra),
        scale=7.0,
        symmetric=symmetric,
        log_popularity=log_q,
        beta=beta,
    )
    found = loss(torch.arange(6), 3.0 * left, right, hard, torch.tensor(hard_ids))
    wanted = by_loops(q, p, w, known, left, right, hard, hard_ids, 7.0, log_q.tolist(), beta, symmetric=symmetric)
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_a_known_positive_of_another_row_pushes_nothing():
    import torch

    from trainer.loss import EngagementLoss

    q, p = torch.tensor([0, 1]), torch.tensor([0, 1])
    vectors = torch.nn.functional.normalize(torch.randn(2, 4), dim=-1)
    both_known = torch.tensor([(0, 1), (1, 0)])
    assert EngagementLoss(q, p, torch.ones(2), both_known)(torch.arange(2), vectors, vectors).item() == 0.0
    assert EngagementLoss(q, p, torch.ones(2), both_known[:0])(torch.arange(2), vectors, vectors).item() > 0.0

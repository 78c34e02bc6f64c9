"""The loss: a weighted softmax over the batch's products, in which no known positive counts as a negative.

In the manner of generalised contrastive learning (Zhu et al., arXiv 2404.08535): one weight per pair. A
sentence-transformers loss, so its Trainer trains with it. What a pair is (query, product, weight) comes from
a table; the ``label`` of a batch is the row in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed.nn
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 torch's own name for it


@dataclass(frozen=True)
class Table:
    """The pairs of a training by row.

    Numbers of ``queries`` and ``products`` and the ``weights``, (n,) each, mean weight 1. ``known`` (m, 2):
    every query and product that engaged up to the cut, whether trained or not. ``log_popularity``: of each
    product.
    """

    queries: Tensor
    products: Tensor
    weights: Tensor
    known: Tensor
    log_popularity: Tensor | None = None


class EngagementLoss(nn.Module):
    """Softmax cross-entropy of each query against the batch's products and the mined negatives.

    Each product competes once. The target of a query is its own products of the batch, shared by their
    weights; its other known products are hidden from it, and so is what has the very vector of a known one:
    no model can tell them apart. The mean is over the pairs, each with its weight, so that a pair weighs the
    same in every batch. ``beta`` > 0 takes ``beta * log Q`` off the scores while training, so that what
    serves keeps more of the products' popularity. ``symmetric`` adds, for each product, the softmax over the
    queries. ``spread`` > 0 adds that many times the squared length of the mean vector of the batch's
    products, which is their mean cosine: it keeps the catalogue from drawing together in few directions
    (Zhang et al., Spread-out Local Feature Descriptors, 2017). Under DDP a query competes over all processes'
    products.
    """

    _known: Tensor
    _queries: Tensor
    _products: Tensor
    _weights: Tensor
    _log_popularity: Tensor

    def __init__(
        self,
        model: nn.Module | None,
        table: Table,
        *,
        scale: float,
        symmetric: bool = False,
        beta: float = 0.0,
        spread: float = 0.0,
    ) -> None:
        super().__init__()
        self.model = model
        queries, products, known = (
            table.queries.long(),
            table.products.long(),
            table.known.long().reshape(-1, 2),
        )
        self._stride = int(max(products.max().item(), known[:, 1].max().item() if len(known) else 0)) + 1
        self._scale, self._symmetric, self._beta, self._spread = scale, symmetric, beta, spread
        self.last = torch.tensor(float("nan"))
        keys = torch.cat([known[:, 0] * self._stride + known[:, 1], queries * self._stride + products])
        popularity = (
            torch.zeros(self._stride) if table.log_popularity is None else table.log_popularity.float()
        )
        buffers = {
            "_queries": queries,
            "_products": products,
            "_weights": table.weights.float(),
            "_known": torch.unique(keys),
        }
        for name, values in (buffers | {"_log_popularity": popularity}).items():
            self.register_buffer(name, values, persistent=False)

    def is_known(self, queries: Tensor, products: Tensor) -> Tensor:
        """Return (b, c) booleans: has query i ever engaged with product j. O(b c log n), no Python loop."""
        keys = queries[:, None] * self._stride + products[None, :]
        at = torch.searchsorted(self._known, keys).clamp_(max=len(self._known) - 1)
        return (self._known[at] == keys) & (products < self._stride)[None, :]

    def forward(self, sentence_features: Sequence[dict[str, Any]], labels: Tensor) -> Tensor:
        """Return the loss of the pairs ``labels`` (b,), rows of the table.

        From the features of their queries and of their documents. A feature with ``place`` holds each text
        once, and ``place`` says whose it is. Documents after the first b are mined negatives, whose product
        numbers are ``mined``.
        """
        assert self.model is not None
        vectors, mined = [], None
        for feature in sentence_features:
            inputs = dict(feature)
            place, mined = inputs.pop("place", None), inputs.pop("mined", None)
            embedded = self.model(inputs)["sentence_embedding"]
            vectors.append(embedded if place is None else embedded[place])
        queries, documents = vectors
        count = len(queries)
        return self.of_vectors(labels, queries, documents[:count], documents[count:], mined)

    def of_vectors(
        self,
        rows: Tensor,
        queries: Tensor,
        products: Tensor,
        negatives: Tensor | None = None,
        negative_ids: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of the pairs ``rows`` (b,), given their vectors (b, dim) each, of any length.

        ``negatives`` (m, dim) with their product numbers are shared by all rows, as the products of the other
        rows are.
        """
        with torch.autocast(queries.device.type, enabled=False):
            rows = rows.long().view(-1)
            left, right = F.normalize(queries.float(), dim=-1), F.normalize(products.float(), dim=-1)
            mined = None if negatives is None else F.normalize(negatives.float(), dim=-1)
            all_rows, all_left, all_right = _everywhere(rows), _everywhere(left), _everywhere(right)
            q, p, w = self._queries[rows], self._products[rows], self._weights[rows]
            q_all, p_all, w_all = self._queries[all_rows], self._products[all_rows], self._weights[all_rows]
            columns, ids = all_right, p_all
            if mined is not None and negative_ids is not None:
                columns, ids = (
                    torch.cat([all_right, _everywhere(mined)]),
                    torch.cat([p_all, _everywhere(negative_ids.long())]),
                )
            losses = self._one_way(left, q, columns, ids, (q_all, p_all, w_all), self.is_known)
            if self._symmetric:
                back = self._one_way(
                    right,
                    p,
                    all_left,
                    q_all,
                    (p_all, q_all, w_all),
                    lambda a, b: self.is_known(b, a).T,
                    beta=0.0,
                )
                losses = (losses + back) / 2
            loss = (w * losses).mean()
            if self._spread:
                loss = loss + self._spread * all_right[_distinct(p_all)[1]].mean(dim=0).square().sum()
        self.last = loss.detach()
        return loss

    def _one_way(
        self,
        left: Tensor,
        own: Tensor,
        columns: Tensor,
        ids: Tensor,
        pairs: tuple[Tensor, Tensor, Tensor],
        known: Any,
        beta: float | None = None,
    ) -> Tensor:
        """Return (b,) losses: each left side against the columns, of which the first of each id competes."""
        unique, first = _distinct(ids)
        scores = self._scale * left @ columns[first].T
        beta = self._beta if beta is None else beta
        if beta:
            scores = scores - beta * self._log_popularity[unique][None, :]
        sources, targets, weights = pairs
        at = torch.searchsorted(unique, targets)
        share = torch.zeros_like(scores).index_add(
            1, at, (own[:, None] == sources[None, :]) * weights[None, :]
        )
        own_known = known(own, unique) | (share > 0)
        alike = _alike(columns[first].detach())
        hidden = (own_known.float() @ alike.float() > 0) & (share == 0)
        scores = scores.masked_fill(hidden, float("-inf"))
        share = share / share.sum(dim=1, keepdim=True)
        return -(share * F.log_softmax(scores, dim=1).masked_fill(share == 0, 0.0)).sum(dim=1)


def _distinct(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct ids in their order, and the place of the first of each."""
    unique, where = torch.unique(ids, return_inverse=True)
    places = torch.arange(len(ids), device=ids.device)
    return unique, torch.full((len(unique),), len(ids), device=ids.device).scatter_reduce(
        0, where, places, "amin"
    )


def _alike(vectors: Tensor) -> Tensor:
    """Return (c, c) booleans: are the two vectors equal, as those of equal texts are."""
    number: Tensor = torch.unique(vectors, dim=0, return_inverse=True)[1]
    return number[:, None].eq(number[None, :])


def _everywhere(values: Tensor) -> Tensor:
    """Return the values of all processes in the order of their ranks, with gradients where they have any.

    Alone: the same.
    """
    if not (
        torch.distributed.is_available()
        and torch.distributed.is_initialized()
        and torch.distributed.get_world_size() > 1
    ):
        return values
    if values.requires_grad:
        return torch.cat(torch.distributed.nn.functional.all_gather(values))  # type: ignore[no-untyped-call]
    gathered = [torch.empty_like(values) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(gathered, values.contiguous())
    return torch.cat(gathered)

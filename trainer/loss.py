"""The loss: a weighted softmax over the batch's products, in which no known positive counts as a negative.

In the manner of generalised contrastive learning (Zhu et al., arXiv 2404.08535): one weight per pair. Works on vectors and ids only.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 torch's own name for it


class EngagementLoss(nn.Module):
    """Softmax cross-entropy of each query against the batch's products and the mined negatives.

    ``query_ids``, ``product_ids``, ``weights`` (n,): the pairs. ``known`` (m, 2): every query and product that engaged up to the cut,
    whether trained or not. ``log_popularity`` (products,) with ``beta`` > 0 takes ``beta * log Q`` off the scores while training, so
    that what serves keeps more of the products' popularity.
    """

    _known: Tensor
    _queries: Tensor
    _products: Tensor
    _weights: Tensor
    _log_popularity: Tensor

    def __init__(
        self,
        query_ids: Tensor,
        product_ids: Tensor,
        weights: Tensor,
        known: Tensor,
        *,
        scale: float = 20.0,
        symmetric: bool = False,
        log_popularity: Tensor | None = None,
        beta: float = 0.0,
    ) -> None:
        super().__init__()
        self._stride = int(max(product_ids.max().item(), known[:, 1].max().item() if len(known) else 0)) + 1
        self._scale, self._symmetric, self._beta = scale, symmetric, beta
        self.register_buffer("_queries", query_ids.long(), persistent=False)
        self.register_buffer("_products", product_ids.long(), persistent=False)
        self.register_buffer("_weights", weights.float(), persistent=False)
        keys = torch.cat([known[:, 0].long() * self._stride + known[:, 1].long(), query_ids.long() * self._stride + product_ids.long()])
        self.register_buffer("_known", torch.unique(keys), persistent=False)
        popularity = torch.zeros(self._stride) if log_popularity is None else log_popularity.float()
        self.register_buffer("_log_popularity", popularity, persistent=False)

    def is_known(self, queries: Tensor, products: Tensor) -> Tensor:
        """Return (b, c) booleans: has query i ever engaged with product j. O(b c log n), no Python loop."""
        keys = queries[:, None] * self._stride + products[None, :]
        at = torch.searchsorted(self._known, keys).clamp_(max=len(self._known) - 1)
        return self._known[at] == keys

    def forward(
        self, rows: Tensor, queries: Tensor, products: Tensor, negatives: Tensor | None = None, negative_ids: Tensor | None = None
    ) -> Tensor:
        """Return the weighted mean loss of the pairs ``rows`` (b,), given their vectors (b, dim) each, of any length.

        ``negatives`` (m, dim) are shared by all rows; where one is a known positive of a row, that row does not see it.
        """
        q, p, weights = self._queries[rows], self._products[rows], self._weights[rows]
        left, right = F.normalize(queries.float(), dim=-1), F.normalize(products.float(), dim=-1)
        others = ~torch.eye(len(rows), dtype=torch.bool, device=left.device)
        hidden = (self.is_known(q, p) | (p[:, None] == p[None, :])) & others
        similarity = self._scale * left @ right.T
        scores = self._columns(similarity, p, hidden)
        if negatives is not None and negative_ids is not None and len(negative_ids):
            mined = self._scale * left @ F.normalize(negatives.float(), dim=-1).T
            shown = self._columns(mined, negative_ids, self.is_known(q, negative_ids) | (p[:, None] == negative_ids[None, :]))
            scores = torch.cat([scores, shown], dim=1)
        losses = F.cross_entropy(scores, torch.arange(len(rows), device=left.device), reduction="none")
        if self._symmetric:
            reverse = similarity.T.masked_fill((hidden | (q[:, None] == q[None, :]) & others).T, float("-inf"))
            losses = (losses + F.cross_entropy(reverse, torch.arange(len(rows), device=left.device), reduction="none")) / 2
        return (weights * losses).sum() / weights.sum()

    def _columns(self, scores: Tensor, products: Tensor, hidden: Tensor) -> Tensor:
        if self._beta:
            scores = scores - self._beta * self._log_popularity[products][None, :]
        return scores.masked_fill(hidden, float("-inf"))

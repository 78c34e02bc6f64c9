"""How much the picture of a product counts beside its text, found on validation queries after a training."""

import numpy as np
import torch

from retrieval.field_weights import FieldWeights
from trainer.learning.numbering import Numbers
from trainer.learning.towers import PicturedTower, vectors
from trainer.learning.training_progress import inner_scores

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of the picture
_PART = 256


@torch.no_grad()
def fitted_weights(tower: PicturedTower, numbers: Numbers) -> FieldWeights:
    """Return the weights with the best nDCG@10 of the validation queries over their and other products.

    Those of the training stay unless others are better by a standard error of the difference.
    """
    queries = vectors(tower, numbers.validation_texts())
    products = numbers.contenders()
    tower.train_mode(False)
    texts = torch.split(torch.from_numpy(numbers.product_texts(products)), _PART)
    read, seen = (
        np.concatenate(parts) for parts in zip(*(_fields(tower, part) for part in texts), strict=True)
    )
    pictured = np.asarray(seen.any(axis=1))

    def scores(weights: FieldWeights) -> np.ndarray:
        of_text, of_picture = weights.shares(pictured)
        fused = of_text * read + of_picture * seen
        fused /= np.maximum(np.linalg.norm(fused, axis=1, keepdims=True), 1e-12)
        return inner_scores(queries, fused, products, numbers.gains)

    trained = scores(tower.weights)
    tried = {share: scores(FieldWeights(text=1 - share, picture=share)) for share in SHARES}
    best = max(SHARES, key=lambda share: tried[share].mean())
    better = tried[best] - trained
    if better.mean() > better.std() / np.sqrt(len(better)):
        return FieldWeights(text=round(1 - best, 1), picture=best)
    return tower.weights


def _fields(tower: PicturedTower, texts: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    read, seen = tower.fields(texts)
    return read.cpu().numpy(), seen.cpu().numpy()

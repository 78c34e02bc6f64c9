"""How much each field of a product counts beside the others, found on validation queries after a training."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import structlog
import torch

from retrieval.document import FIELDS, TEXT
from retrieval.field_weights import FieldWeights
from trainer.learning.field_tower import FieldTower
from trainer.learning.numbering import Numbers
from trainer.learning.towers import vectors
from trainer.learning.training_progress import inner_scores

log = structlog.get_logger(__name__)

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of one field, beside all others
TURNS = 2  # of all fields, one after the other
_PART = 256
Scores = npt.NDArray[np.float64]


@torch.no_grad()
def fitted_weights(tower: FieldTower, numbers: Numbers) -> FieldWeights:
    """Return the weights with the best nDCG@10 of the validation queries over their and other products.

    Those of the training stay unless others are better by a standard error of the difference.
    """
    queries = vectors(tower, numbers.validation_texts())
    products = numbers.contenders()
    tower.train_mode(False)
    texts = torch.split(torch.from_numpy(numbers.product_texts(products)), _PART)
    fields = np.concatenate([tower.fields(part).cpu().numpy() for part in texts])
    there: npt.NDArray[np.bool_] = np.asarray(fields.any(axis=2))

    def scores(weights: FieldWeights) -> Scores:
        fused = (weights.shares(there)[:, :, None] * fields).sum(axis=1)
        fused /= np.maximum(np.linalg.norm(fused, axis=1, keepdims=True), 1e-12)
        return inner_scores(queries, fused, products, numbers.gains)

    told = [name for column, name in enumerate(FIELDS) if there[:, column].any() and name != TEXT]
    found = _by_turns(tower.weights, told, scores)
    log.info("fields weighed", trained=dict(tower.weights.by_field), fitted=dict(found.by_field))
    return found


def _by_turns(
    weights: FieldWeights, names: list[str], scores: Callable[[FieldWeights], Scores]
) -> FieldWeights:
    """Return the weights after ``TURNS`` through the fields.

    Each gets the best share, where that is better than its own by a standard error of the difference; the
    others keep their proportions.
    """
    for _ in range(TURNS):
        for name in names:
            own, tried = scores(weights), [_with_share(weights, name, share) for share in SHARES]
            best, better = max(
                ((one, scores(one) - own) for one in tried), key=lambda found: float(found[1].mean())
            )
            if better.mean() > better.std() / np.sqrt(len(better)):
                weights = best
    return weights


def _with_share(weights: FieldWeights, name: str, share: float) -> FieldWeights:
    """Return weights of the sum 1 in which a field has this share.

    >>> _with_share(FieldWeights(text=0.5, picture=0.5), "description", 0.2).by_field
    {'text': 0.4, 'picture': 0.4, 'description': 0.2, 'attributes': 0.0}
    """
    others = {one: weight for one, weight in weights.by_field.items() if one != name}
    spread = others if any(others.values()) else {TEXT: 1.0}
    scale = (1 - share) / sum(spread.values())
    return FieldWeights(**{one: round(weight * scale, 3) for one, weight in spread.items()} | {name: share})

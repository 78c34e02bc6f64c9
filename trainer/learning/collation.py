"""What each step of a training sees: which pairs, which mined negatives, and each text once.

Decided before the first step, so that a run that was killed goes on with the very next batch. Knows no model
and no loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from trainer.learning.hard_negatives import HardNegatives
from trainer.learning.numbering import Numbers
from trainer.learning.plan import Plan
from trainer.learning.sampling import Rows, batches
from trainer.learning.towers import Tower


@dataclass(frozen=True)
class Schedule:
    """The pairs of all steps in their order.

    ``rows`` (steps * batch,) of the table, ``negatives`` (steps * batch, k) product numbers.
    """

    rows: Rows
    negatives: Rows


def schedule(numbers: Numbers, new: Rows, plan: Plan, mined: HardNegatives | None) -> Schedule:
    """Draw the batches of a plan.

    ``new`` are the rows that the start has not seen, the others are replayed.
    """
    old = np.setdiff1d(np.arange(len(numbers.query)), new)
    drawn = batches(
        new,
        old,
        steps=plan.steps,
        batch_size=plan.batch_size,
        replay_share=plan.replay_share,
        seed=plan.seed,
        together=numbers.query,
    )
    rows = np.concatenate(drawn)
    if mined is None or not plan.hard_negatives:
        return Schedule(rows, np.zeros((len(rows), 0), dtype=np.int64))
    rng = np.random.default_rng([plan.seed, 1])
    return Schedule(rows, mined.pick(numbers.query[rows], numbers.product[rows], plan.hard_negatives, rng))


class Collator:
    """Turns pairs of the schedule into what the loss takes.

    Queries and documents, each text once, and whose it is.
    """

    valid_label_columns: Sequence[str] = ("label",)

    def __init__(self, numbers: Numbers, tower: Tower) -> None:
        self._numbers, self._tower = numbers, tower

    def __call__(self, features: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return ``query_*`` and ``document_*`` inputs and the ``label``.

        The documents after the pairs' own are the mined negatives.
        """
        rows = np.array([feature["label"] for feature in features])
        mined = np.array([feature["negatives"] for feature in features], dtype=np.int64).ravel()
        queries, whose = np.unique(self._numbers.query[rows], return_inverse=True)
        products, which = np.unique(np.concatenate([self._numbers.product[rows], mined]), return_inverse=True)
        sides = {"query": (queries, whose), "document": (self._numbers.product_texts(products), which)}
        batch: dict[str, Any] = {"label": torch.from_numpy(rows)}
        for side, (texts, place) in sides.items():
            inputs = self._tower.features(torch.from_numpy(texts)) | {"place": torch.from_numpy(place)}
            batch |= {f"{side}_{name}": value for name, value in inputs.items()}
        batch["document_mined"] = torch.from_numpy(mined)
        return batch

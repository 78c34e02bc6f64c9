"""How much a picture counts is found on validation queries, and stays where nothing is surely better."""

from typing import Any

import numpy as np
import pytest
import torch

from retrieval.field_weights import FieldWeights

DIM, PRODUCTS = 32, 60


class TwoFields:
    """Stands for a tower: queries are like what one field of their product says, the other says nothing."""

    weights = FieldWeights(text=0.5, picture=0.5)

    def __init__(self, told_by: str) -> None:
        rng = np.random.default_rng(1)
        told, noise = rng.normal(size=(2, PRODUCTS, DIM)).astype(np.float32)
        self._asked = told + 2 * rng.normal(size=told.shape).astype(np.float32)
        self._fields = (told, noise) if told_by == "text" else (noise, told)
        if told_by == "both":
            self._fields = (told, told)

    def train_mode(self, on: bool) -> None: ...

    def embed(self, texts: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._asked)[texts]

    def fields(self, texts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        read, seen = (torch.from_numpy(field)[texts - PRODUCTS] for field in self._fields)
        return torch.nn.functional.normalize(read, dim=-1), torch.nn.functional.normalize(seen, dim=-1)


@pytest.mark.parametrize(
    ("told_by", "least", "most"), [("text", 0.0, 0.4), ("picture", 0.6, 1.0), ("both", 0.5, 0.5)]
)
def test_the_field_that_tells_weighs_more(told_by: str, least: float, most: float) -> None:
    from trainer.learning.field_fit import fitted_weights  # noqa: PLC0415 (it loads sentence-transformers)
    from trainer.learning.numbering import Numbers  # noqa: PLC0415

    every = np.arange(PRODUCTS)
    names = [f"p{n}" for n in every]
    numbers = Numbers(
        [], names, every, every, np.ones(PRODUCTS, dtype=np.float32), np.stack([every, every], axis=1),
        np.zeros(PRODUCTS), [f"q{n}" for n in every], [{int(n): 1.0} for n in every],
    )  # fmt: skip
    tower: Any = TwoFields(told_by)
    found = fitted_weights(tower, numbers)
    assert least <= found.picture <= most

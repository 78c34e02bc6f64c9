"""How much each field of a product counts in its one vector.

As in generalised contrastive learning (Zhu et al., arXiv 2404.08535): the weighted mean of unit vectors, the
weights shared out among what the product has, so that a missing picture is no zero vector. A field of
weight 0 is not encoded. The weights lie in the folder of the model and are part of its fingerprint: training,
index, evaluation and search cannot differ.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from retrieval.document import FIELDS, TEXT

FIELD_WEIGHTS = "field_weights.json"
Weight = npt.NDArray[np.float32]


class FieldWeights(BaseModel):
    """Weights of the fields (``retrieval.document.FIELDS``), 0 or more; only their ratio matters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: float = Field(0.5, ge=0, le=100, allow_inf_nan=False)
    picture: float = Field(0.5, ge=0, le=100, allow_inf_nan=False)
    description: float = Field(0.0, ge=0, le=100, allow_inf_nan=False)
    attributes: float = Field(0.0, ge=0, le=100, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_counts(self) -> "FieldWeights":
        if not any(self.by_field.values()):
            raise ValueError(f"one of {', '.join(FIELDS)} must count")
        return self

    @classmethod
    def read(cls, folder: Path) -> "FieldWeights":
        """Return the weights of a model; the usual ones where its folder says none.

        Raises ``ValueError`` for a file that holds something else.
        """
        path = folder / FIELD_WEIGHTS
        return cls.model_validate_json(path.read_bytes()) if path.is_file() else cls()

    @property
    def by_field(self) -> Mapping[str, float]:
        """The weight of each field, in the order of ``FIELDS``."""
        return {name: getattr(self, name) for name in FIELDS}

    @property
    def read_fields(self) -> frozenset[str]:
        """The fields that are read: those that count, and the text, which stands in for others."""
        return frozenset({TEXT, *(name for name, weight in self.by_field.items() if weight)})

    def write(self, folder: Path) -> None:
        """Write what is not usual into the folder of a model, whose fingerprint it changes."""
        (folder / FIELD_WEIGHTS).write_text(json.dumps(self.model_dump(exclude_defaults=True)))

    def shares(self, there: npt.NDArray[np.bool_]) -> Weight:
        """Return what the fields weigh (n, fields) in documents that have them, or not: each row's sum is 1.

        ``there`` (n, fields), in the order of ``FIELDS``. Where nothing that counts is there it is the text.

        >>> weights = FieldWeights(text=1, picture=3)
        >>> weights.shares(np.array([[True, True, True, False], [True, False, True, False]])).tolist()
        [[0.25, 0.75, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]
        """
        counted = there * np.array(list(self.by_field.values()))
        counted[~counted.any(axis=1), FIELDS.index(TEXT)] = 1.0
        shares: Weight = (counted / counted.sum(axis=1, keepdims=True)).astype(np.float32)
        return shares


USUAL_WEIGHTS = FieldWeights()

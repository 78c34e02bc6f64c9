"""How much the text and the picture of a product count in its one vector.

As in generalised contrastive learning (Zhu et al., arXiv 2404.08535): the weighted mean of unit vectors, the
weights shared out among what the product has, so that a missing picture is no zero vector. The weights lie in
the folder of the model and are part of its fingerprint: training, index, evaluation and search cannot differ.
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

FIELD_WEIGHTS = "field_weights.json"
Weight = npt.NDArray[np.float32]


class FieldWeights(BaseModel):
    """Weights of the fields, 0 or more; only their ratio matters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: float = Field(0.5, ge=0, le=100, allow_inf_nan=False)
    picture: float = Field(0.5, ge=0, le=100, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_counts(self) -> "FieldWeights":
        if not self.text + self.picture > 0:
            raise ValueError("one of text and picture must count")
        return self

    @classmethod
    def read(cls, folder: Path) -> "FieldWeights":
        """Return the weights of a model; the usual ones where its folder says none.

        Raises ``ValueError`` for a file that holds something else.
        """
        path = folder / FIELD_WEIGHTS
        return cls.model_validate_json(path.read_bytes()) if path.is_file() else cls()

    def write(self, folder: Path) -> None:
        """Write them into the folder of a model, whose fingerprint they change."""
        (folder / FIELD_WEIGHTS).write_text(json.dumps(self.model_dump()))

    def shares(self, pictured: npt.NDArray[np.bool_]) -> tuple[Weight, Weight]:
        """Return what text and picture weigh (n, 1) in documents that have a picture, or not: their sum is 1.

        >>> of_text, of_picture = FieldWeights(text=1, picture=3).shares(np.array([True, False]))
        >>> of_text.ravel().tolist(), of_picture.ravel().tolist()
        ([0.25, 1.0], [0.75, 0.0])
        """
        picture = np.where(pictured, self.picture / (self.text + self.picture), 0.0).astype(np.float32)
        return (1.0 - picture)[:, None], picture[:, None]

"""Queries and documents to vectors, with gradients: the fields of a product fused as they are served.

Knows no pairs and no losses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from retrieval.document import FIELDS, PICTURE, TEXT
from retrieval.encoder import prompts_of
from retrieval.field_weights import USUAL_WEIGHTS, FieldWeights
from retrieval.library_model import PictureInputs, full_length
from schemas.text import normalise_query
from trainer.learning.field_texts import FieldTexts, TriedFields
from trainer.learning.pixels import Pixels
from trainer.learning.tokens import Tokens
from trainer.learning.towers import TopTower, Tower, WholeTower

ALONE = 0.25
_PICTURES = 16  # whose layers' work is held at once, and done twice


@dataclass(frozen=True)
class ProductPictures:
    """The pictures of products, and how a model takes them."""

    model: Any
    inputs: PictureInputs
    pixels: Pixels

    def vectors(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """Return (n, dim) vectors of any length of the pictures in these rows."""
        pixels = self.inputs.inputs(self.pixels[rows]).to(self.model.device)
        found: Tensor = self.model({"pixel_values": pixels, "modality": "image"})["sentence_embedding"]
        return found


class FieldTower:
    """A product's vector is fused of its fields by ``weights``, as it is served.

    Their texts go through another tower. In training ``ALONE`` of the products with a picture stand by their
    text alone, and as many by their picture: what one says already, the other would not learn. With pictures
    the work of the layers is done again for the gradients, few documents at a time, so that they fit.
    Fields that do not count are left out, but for ``fields``.
    """

    def __init__(
        self, inner: Tower, told: FieldTexts, weights: FieldWeights, pictures: ProductPictures | None
    ) -> None:
        self._inner, self._told, self._pictures = inner, told, pictures
        self.weights = weights
        self._counted = np.where([name in weights.read_fields for name in FIELDS], told.rows, -1)

    @property
    def top_only(self) -> bool:
        """Whether the top layers alone train."""
        return self._inner.top_only

    def features(self, texts: Tensor) -> dict[str, Tensor]:
        """Return the numbers themselves: what documents have is looked up by them."""
        return {"input_ids": texts}

    def embed(self, texts: Tensor) -> Tensor:
        """Return (n, dim) vectors of the queries and documents with these numbers, their fields fused."""
        training = torch.is_grad_enabled()
        drawn = torch.rand(len(texts)) if training else torch.ones(len(texts))
        if self._pictures is None:
            return self._fused(texts.cpu(), drawn)
        parts = zip(torch.split(texts.cpu(), _PICTURES), torch.split(drawn, _PICTURES), strict=True)
        if training:
            return torch.cat([checkpoint(self._fused, *part, use_reentrant=False) for part in parts])
        return torch.cat([self._fused(*part) for part in parts])

    def fields(self, texts: Tensor) -> Tensor:
        """Return the unit vectors (n, fields, dim) of queries and documents; zeros where a field is not."""
        return self._fields(texts, self._told.rows)

    def trained(self) -> list[nn.Parameter]:
        """Return the parameters that train."""
        return self._inner.trained()

    def train_mode(self, on: bool) -> None:
        """Switch dropout."""
        self._inner.train_mode(on)

    def _fields(self, texts: Tensor, every: npt.NDArray[np.int64]) -> Tensor:
        """Return the unit vectors (n, fields, dim); ``every``: as ``FieldTexts.rows``."""
        rows = every[texts.numpy()]
        place = np.argwhere(rows >= 0)
        numbers, which = np.unique(rows[rows >= 0], return_inverse=True)
        read = nn.functional.normalize(self._inner.embed(torch.from_numpy(numbers)).float(), dim=-1)
        out = read.new_zeros(len(texts), len(FIELDS), read.shape[1])
        out = out.index_put(_index(place, read.device), read[torch.from_numpy(which).to(read.device)])
        if self._pictures is None:
            return out
        squares = self._squares(texts)
        there = np.flatnonzero(squares >= 0)
        if len(there):
            seen = nn.functional.normalize(self._pictures.vectors(squares[there]).float(), dim=-1)
            column = np.full(len(there), FIELDS.index(PICTURE))
            out = out.index_put(_index(np.stack([there, column], axis=1), read.device), seen)
        return out

    def _fused(self, texts: Tensor, drawn: Tensor) -> Tensor:
        fields = self._fields(texts, self._counted)
        there = self._counted[texts.numpy()] >= 0
        squares = self._squares(texts)
        there[:, FIELDS.index(PICTURE)] = squares >= 0
        shares = torch.from_numpy(self.weights.shares(there))
        pictured = torch.from_numpy(squares >= 0)
        for first, name in ((0.0, TEXT), (ALONE, PICTURE)):
            own = pictured & (drawn >= first) & (drawn < first + ALONE)
            shares[own] = nn.functional.one_hot(torch.tensor(FIELDS.index(name)), len(FIELDS)).float()
        return (shares[:, :, None].to(fields.device) * fields).sum(dim=1)

    def _squares(self, texts: Tensor) -> npt.NDArray[np.int64]:
        """Return the rows of the pictures (n,); -1 for queries, and for products without one."""
        numbers = texts.numpy() - self._told.queries
        if self._pictures is None:
            return np.full(len(numbers), -1)
        return np.where(numbers >= 0, self._pictures.pixels.row[np.maximum(numbers, 0)], -1)


def build(
    model: Any,
    queries: Sequence[str],
    products: Sequence[str],
    *,
    top_layers: int | None,
    weights: FieldWeights = USUAL_WEIGHTS,
    pictures: ProductPictures | None = None,
    tried: TriedFields | None = None,
) -> Tower:
    """Return the tower of a model over queries, then documents, in the form in which they are served.

    ``top_layers``: how many layers train where the architecture is known; None: all train. ``weights``: of
    the fields of products. ``pictures``: those of the products, for a model that sees them. ``tried``: fields
    whose vectors are asked for after the training.
    """
    of_query, of_document = prompts_of(model)
    told = FieldTexts.of(queries, products, weights.read_fields, tried)
    texts = [
        *(of_query + normalise_query(text) for text in told.texts[: len(queries)]),
        *(of_document + normalise_query(text) for text in told.texts[len(queries) :]),
    ]
    tokens = Tokens(model, texts, padded=None if pictures is None else full_length(model))
    inner: Tower
    if pictures is None and top_layers is not None and TopTower.fits(model):
        inner = TopTower(model, tokens, top_layers)
    else:
        inner = WholeTower(model, tokens)
    if pictures is None and not told.fused:
        return inner
    return FieldTower(inner, told, weights, pictures)


def _index(places: npt.NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
    rows, columns = torch.from_numpy(np.ascontiguousarray(places.T)).to(device)
    return rows, columns

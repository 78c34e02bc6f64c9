"""Text numbers to vectors, with gradients.

Through the whole model, or through its top layers over remembered lower ones. On a CPU the lower layers stay
as they are, so their output is computed once per text, as far as memory goes. That is about four times
cheaper, and at equal steps not worse (docs/journal.md). Knows no queries, products or losses, and not who
trains.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.masking_utils import create_bidirectional_mask

from trainer.learning.memory import BOUNDED, TOGETHER, Shape, TrainingMemory
from trainer.learning.tokens import Tokens

_PART = 256
# Architectures whose layers stand in ``encoder.layer`` and take (hidden states, mask).
_LAYERED = frozenset({"bert", "roberta", "xlm-roberta", "camembert"})


class Tower(Protocol):
    """What training needs of a model.

    How a text's number becomes what the model takes, and which parameters train.
    """

    @property
    def top_only(self) -> bool:
        """Whether the top layers alone train."""

    def features(self, texts: Tensor) -> dict[str, Tensor]:
        """Return the model's inputs of the texts with these numbers (n,)."""

    def embed(self, texts: Tensor) -> Tensor:
        """Return (n, dim) vectors of the texts with these numbers."""

    def trained(self) -> list[nn.Parameter]:
        """Return the parameters that train."""

    def train_mode(self, on: bool) -> None:
        """Switch dropout of the layers that train."""


@torch.no_grad()
def vectors(tower: Tower, texts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return (n, dim) unit rows of the texts with these numbers, without gradients and dropout."""
    tower.train_mode(False)
    embedded = [tower.embed(part).float().cpu() for part in torch.split(torch.from_numpy(texts), _PART)]
    unit: npt.NDArray[np.float32] = nn.functional.normalize(torch.cat(embedded), dim=-1).numpy()
    return unit


class WholeTower:
    """Every layer trains."""

    top_only = False

    def __init__(self, model: Any, tokens: Tokens) -> None:
        self._model, self._tokens = model, tokens
        model.requires_grad_(True)

    def features(self, texts: Tensor) -> dict[str, Tensor]:
        """Return the tokens of the texts with these numbers."""
        return self._tokens.batch(texts.tolist())

    def embed(self, texts: Tensor) -> Tensor:
        """Return (n, dim) vectors of the texts with these numbers."""
        inputs = {name: values.to(self._model.device) for name, values in self.features(texts).items()}
        vectors: Tensor = self._model(inputs)["sentence_embedding"]
        return vectors

    def trained(self) -> list[nn.Parameter]:
        """Return all parameters."""
        return [p for p in self._model.parameters() if p.requires_grad]

    def train_mode(self, on: bool) -> None:
        """Switch dropout."""
        self._model.train(on)


class TopTower:
    """The top layers train.

    What enters them is remembered per text, in one flat tensor (tokens, hidden), as far as memory goes. Of
    the other texts it is computed at each use; the trained layers' work on a large batch is done twice
    (``trainer.learning.memory``).
    """

    top_only = True

    def __init__(self, model: Any, tokens: Tokens, top_layers: int, memory: TrainingMemory = BOUNDED) -> None:
        self._model, self._tokens, self._memory = model, tokens, memory
        self._inner = model[0].auto_model
        layers = self._inner.encoder.layer
        self._lower, self._top = (
            layers[: max(0, len(layers) - top_layers)],
            layers[max(0, len(layers) - top_layers) :],
        )
        config = self._inner.config
        self._shape = Shape(len(self._top), config.hidden_size, config.num_attention_heads)
        model.eval()
        model.requires_grad_(False)
        for layer in self._top:
            layer.requires_grad_(True)
        self._lengths = torch.tensor(tokens.lengths)
        self._is_remembered = memory.remembered(self._lengths, config.hidden_size)
        held = torch.where(self._is_remembered, self._lengths, 0)
        self._starts = torch.cumsum(held, 0) - held
        self._below = torch.empty(int(held.sum()), config.hidden_size)
        self._remember()

    @staticmethod
    def fits(model: Any) -> bool:
        """Say whether the architecture is known."""
        return model[0].auto_model.config.model_type in _LAYERED

    def features(self, texts: Tensor) -> dict[str, Tensor]:
        """Return the numbers themselves: what enters the top layers is known here."""
        return {"input_ids": texts}

    def embed(self, texts: Tensor) -> Tensor:
        """Return (n, dim) vectors of the texts with these numbers.

        Texts of like length go together, which saves padding.
        """
        order = torch.argsort(self._lengths[texts], stable=True)
        lengths = self._lengths[texts[order]].tolist()
        sizes = self._memory.parts(lengths, self._shape)
        again = self._memory.computed_again(sizes, lengths, self._shape) if torch.is_grad_enabled() else 0
        vectors = torch.cat(
            [self._embed(part, again=i < again) for i, part in enumerate(torch.split(texts[order], sizes))]
        )
        return vectors[torch.argsort(order)]

    def trained(self) -> list[nn.Parameter]:
        """Return the parameters of the top layers."""
        return [p for layer in self._top for p in layer.parameters()]

    def train_mode(self, on: bool) -> None:
        """Switch dropout of the top layers."""
        for layer in self._top:
            layer.train(on)

    def _embed(self, texts: Tensor, *, again: bool) -> Tensor:
        lengths = self._lengths[texts]
        longest = torch.arange(int(lengths.max()))
        valid = longest[None, :] < lengths[:, None]
        if self._is_remembered[texts].all():
            below = self._below[torch.where(valid, self._starts[texts][:, None] + longest[None, :], 0)]
        else:
            below = self._through_lower(texts.tolist())
        entering = below * valid[:, :, None]
        vectors: Tensor = (
            checkpoint(self._upper, entering, valid, use_reentrant=False)
            if again
            else self._upper(entering, valid)
        )
        return vectors

    def _upper(self, entering: Tensor, valid: Tensor) -> Tensor:
        hidden = self._through(self._top, entering, valid.long())
        features: dict[str, Tensor] = {"token_embeddings": hidden, "attention_mask": valid.long()}
        for module in list(self._model)[1:]:
            features = module(features)
        return features["sentence_embedding"]

    def _remember(self) -> None:
        order = [i for i in torch.argsort(self._lengths, stable=True).tolist() if self._is_remembered[i]]
        for start in range(0, len(order), TOGETHER):
            rows = order[start : start + TOGETHER]
            for row, output in zip(rows, self._through_lower(rows), strict=True):
                begin, length = int(self._starts[row]), self._tokens.lengths[row]
                self._below[begin : begin + length] = output[:length]

    @torch.no_grad()
    def _through_lower(self, texts: Sequence[int]) -> Tensor:
        """Return what enters the top layers (n, longest, hidden).

        Never with dropout, whatever mode the model is in.
        """
        for part in (self._inner.embeddings, *self._lower):
            part.eval()
        inputs = self._tokens.batch(texts)
        mask = inputs.pop("attention_mask")
        return self._through(self._lower, self._inner.embeddings(**inputs), mask)

    def _through(self, layers: Any, hidden: Tensor, mask: Tensor) -> Tensor:
        spread = create_bidirectional_mask(
            config=self._inner.config, inputs_embeds=hidden, attention_mask=mask
        )
        for layer in layers:
            hidden = layer(hidden, spread)
        return hidden

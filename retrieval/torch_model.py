"""A model that torch computes, and the way from its tensors to arrays."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

import torch

from retrieval.embedding_model import EmbeddingModel, Layers, Vectors

Features = dict[str, torch.Tensor]


class TorchModel(EmbeddingModel):
    """On one device."""

    by_torch = True
    device: torch.device

    @property
    def runs_on(self) -> str:
        """The kind of its device."""
        return self.device.type

    @abstractmethod
    def tokens(self, texts: Sequence[str]) -> Features:
        """Return (n, tokens) numbers, types and the mask of texts, padded."""

    @abstractmethod
    def vectors(self, features: Features, layers: Callable[..., torch.Tensor] | None = None) -> torch.Tensor:
        """Return (n, dim) vectors of any length; ``layers`` compute those of the tokens instead."""

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dim): see ``EmbeddingModel.encode``."""
        features = self.tokens(texts)
        layers = None
        if self.small is not None and features["input_ids"].numel() <= self.small[1]:
            layers = partial(_in_numpy, self.small[0])
        return array_of(self.vectors(features, layers))


def array_of(rows: torch.Tensor) -> Vectors:
    """Return rows as 32-bit floats of numpy."""
    found: Vectors = rows.float().cpu().numpy()
    return found


def _in_numpy(
    layers: Layers,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    token_type_ids: torch.Tensor | None = None,
    **_: torch.Tensor,
) -> torch.Tensor:
    types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
    return torch.from_numpy(layers(input_ids.numpy(), types.numpy(), attention_mask.numpy()))

"""A BERT whose vector is the mean of its tokens, or the first: read from its folder, by this alone.

Most models of search are one. To import sentence-transformers for it, with all kinds of models and all of
training, takes 240 MB and four seconds of CPU in each process (ADR 0016). Its tokens, vectors and form are
those of the library.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load_file

from retrieval.fused import FusedBert
from retrieval.plain_folder import PlainFolder, read_plain_folder
from retrieval.plain_tokenizer import PlainTokenizer
from retrieval.torch_model import Features, TorchModel

_WORDS = "embeddings.word_embeddings.weight"
_TYPES = (torch.float32, torch.int64)  # numbers of positions may stand among the weights


class PlainBert(TorchModel):
    """The model of one folder, on one device. Calls are made one at a time."""

    fused = True
    kind = "BertModel"

    def __init__(self, folder: PlainFolder, layers: FusedBert) -> None:
        """``layers``: of the folder's weights. Raises ``ValueError`` for a tokenizer that cannot be read."""
        self.config, self.length, self.prompts = folder.config, folder.length, folder.prompts
        self.dim, self.form = int(folder.config.hidden_size), folder.form
        self.device = torch.device("cpu")
        self._pooling, self._layers = folder.pooling, layers
        self._tokenizer = PlainTokenizer(folder)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the model, or None where the folder or its weights are not those of a plain BERT.

        Raises whatever its files, and the libraries that read them, make of what cannot be read.
        """
        folder = read_plain_folder(path)
        if folder is None:
            return None
        weights = load_file(folder.weights)  # mapped: processes share them
        prefixes = [name.removesuffix(_WORDS) for name in weights if name.endswith(_WORDS)]
        if len(prefixes) != 1 or any(weight.dtype not in _TYPES for weight in weights.values()):
            return None
        named = {name.removeprefix(prefixes[0]): weight for name, weight in weights.items()}
        return cls(folder, FusedBert(folder.config, named))

    def to(self, device: str) -> Self:
        """Move it to a device."""
        self.device = torch.device(device)
        self._layers.to(self.device)
        return self

    def vocabulary(self) -> dict[str, int]:
        """Return all tokens with their numbers."""
        return self._tokenizer.vocabulary()

    def tokens(self, texts: Sequence[str]) -> Features:
        """Return (n, tokens) numbers, types and the mask of texts, padded to the longest."""
        return {
            name: torch.from_numpy(of).to(self.device) for name, of in self._tokenizer.read(texts).items()
        }

    def vectors(self, features: Features, layers: Callable[..., torch.Tensor] | None = None) -> torch.Tensor:
        """Return (n, dim) vectors of any length; ``layers`` compute those of the tokens instead."""
        hidden = (layers or self._layers)(**features)
        if self._pooling == "cls":
            return hidden[:, 0]
        mask = features["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)

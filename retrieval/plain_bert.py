"""A BERT whose vector is the mean of its tokens, or the first: read from its folder, by this alone.

Most models of search are one. To import sentence-transformers for it, with all kinds of models and all of
training, takes 240 MB and four seconds of CPU in each process (ADR 0016). Its tokens, vectors and form are
those of the library.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from retrieval.fused import FusedBert
from retrieval.plain_folder import PlainFolder, read_plain_folder

Features = dict[str, torch.Tensor]

_WORDS = "embeddings.word_embeddings.weight"
_TYPES = (torch.float32, torch.int64)  # numbers of positions may stand among the weights
_PAD = "[PAD]"


class PlainBert:
    """The model of one folder, on one device. Calls are made one at a time."""

    fused = True
    kind = "BertModel"
    picture_inputs = None

    def __init__(self, folder: PlainFolder, layers: FusedBert) -> None:
        """``layers``: of the folder's weights. Raises ``ValueError`` for a tokenizer that cannot be read."""
        self.config, self.length, self.prompts = folder.config, folder.length, folder.prompts
        self.dim = int(folder.config.hidden_size)
        self.device = torch.device("cpu")
        self._folder, self._layers = folder, layers
        try:
            self._tokenizer = Tokenizer.from_file(str(folder.tokenizer))
        except Exception as error:  # it raises no other kind
            raise ValueError(f"{folder.tokenizer.name} cannot be read: {error}") from error
        self._tokenizer.enable_truncation(folder.length)
        number = self._tokenizer.token_to_id(_PAD)
        self._tokenizer.enable_padding(pad_id=number, pad_type_id=0, pad_token=_PAD)

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

    @property
    def form(self) -> list[tuple[str, dict[str, Any] | None]]:
        """The kinds of its modules, and of the pooling what it does."""
        pooling = {
            "embedding_dimension": self.dim,
            "pooling_mode": self._folder.pooling,
            "include_prompt": True,
        }
        return [(kind, pooling if kind == "Pooling" else None) for kind in self._folder.kinds]

    def vocabulary(self) -> dict[str, int]:
        """Return all tokens with their numbers."""
        return self._tokenizer.get_vocab()

    def tokens(self, texts: Sequence[str]) -> Features:
        """Return (n, tokens) numbers, types and the mask of texts, padded to the longest."""
        read = self._tokenizer.encode_batch(list(texts))
        return {
            "input_ids": torch.tensor([one.ids for one in read], device=self.device),
            "token_type_ids": torch.tensor([one.type_ids for one in read], device=self.device),
            "attention_mask": torch.tensor([one.attention_mask for one in read], device=self.device),
        }

    def vectors(self, features: Features, layers: Callable[..., torch.Tensor] | None = None) -> torch.Tensor:
        """Return (n, dim) vectors of any length; ``layers`` compute those of the tokens instead."""
        hidden = (layers or self._layers)(**features)
        if self._folder.pooling == "cls":
            return hidden[:, 0]
        mask = features["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)

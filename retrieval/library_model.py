"""Any sentence-transformers folder, read by the library. A BERT in it runs in torch's fused layers."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from sentence_transformers import SentenceTransformer
from torch import nn

from retrieval.fused import FusedBert

# transformers sets what is of the entire process while it reads a model
_READING = threading.Lock()
_PROOF = (
    "tv",
    "wireless headphones with a long cable",
    "5 kg of rice, and what the neighbours said about it",
)
_ROUNDING = 1e-5


class LibraryModel:
    """The model of one folder, on one device. Calls are made one at a time."""

    def __init__(self, folder: Path, device: str) -> None:
        """Load it, without a network and without code of its own. Raises whatever the library raises."""
        transformers.utils.logging.disable_progress_bar()
        with _READING:
            self._model = SentenceTransformer(
                str(folder),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        self._model.eval()
        self._tokenizer: Any = self._model.tokenizer
        if self._tokenizer is None:
            raise ValueError("it has no tokenizer, so it cannot encode text")
        self._bert: Any = getattr(self._model[0], "model", None)
        self._fused: FusedBert | None = None
        self.kind = type(self._bert).__name__
        is_bert = type(self._bert) is transformers.BertModel
        self.config: Any = getattr(self._bert, "config", None) if is_bert else None
        self.dim = int(self._model.get_embedding_dimension() or 0)
        self.prompts = self._model.prompts or {}
        if self.config is not None:
            self._fuse()

    @property
    def fused(self) -> bool:
        """Whether it runs in fused layers: a BERT, whose vectors were the same both ways."""
        return self._fused is not None

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return torch.device(self._model.device)

    @property
    def form(self) -> list[tuple[str, Any]]:
        """The kinds of its modules, and of a pooling what it does."""
        named = [(type(module).__name__, module) for module in self._model]
        return [(name, module.get_config_dict() if name == "Pooling" else None) for name, module in named]

    @property
    def length(self) -> int | None:
        """How many tokens of a text are read, at most."""
        found: int | None = self._model.max_seq_length
        return found

    def vocabulary(self) -> dict[str, int]:
        """Return all tokens with their numbers."""
        found: dict[str, int] = self._tokenizer.get_vocab()
        return found

    def tokens(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return what the model takes of texts, (n, tokens) each, padded to the longest."""
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.length, return_tensors="pt"
        )
        return {name: value.to(self.device) for name, value in tokens.items()}

    def vectors(
        self, features: dict[str, torch.Tensor], layers: Callable[..., torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Return (n, dim) vectors of any length; ``layers``: see ``PlainBert.vectors``."""
        layers = layers or self._fused
        found: dict[str, torch.Tensor] = features
        if layers is None:
            found = self._model(features)
        else:
            found["token_embeddings"] = layers(**features)
            for module in list(self._model)[1:]:
                found = module(found)
        return found["sentence_embedding"]

    def _fuse(self) -> None:
        """Let torch's fused layers take over where they give the same vectors.

        The model's own are let go.
        """
        try:
            with torch.inference_mode():
                plain = self._proof()
                self._fused = FusedBert(self.config, self._bert.state_dict())
                same = float((self._proof() - plain).abs().max()) <= _ROUNDING
        except Exception:
            # Whatever it is, it works as it is
            same = False
        if same:
            self._bert.encoder.layer = nn.ModuleList()
        else:
            self._fused = None

    def _proof(self) -> torch.Tensor:
        found = [self.vectors(self.tokens(texts)) for texts in (_PROOF, _PROOF[:1])]
        return nn.functional.normalize(torch.cat(found).float(), dim=1)

"""Any sentence-transformers folder, read by the library. A BERT in it runs in torch's fused layers."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import transformers
from sentence_transformers import SentenceTransformer
from torch import nn

from retrieval.embedding_model import Vectors
from retrieval.fused import FusedBert
from retrieval.torch_model import Features, TorchModel, array_of

# transformers sets what is of the entire process while it reads a model
_READING = threading.Lock()
_PROOF = (
    "tv",
    "wireless headphones with a long cable",
    "5 kg of rice, and what the neighbours said about it",
)
_ROUNDING = 1e-5
_SAME = 0.9999


@dataclass(frozen=True)
class PictureInputs:
    """How a model takes pictures: squares of ``side`` pixels, each colour less ``mean``, by ``std``."""

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, module: Any) -> Self | None:
        """Return how the first module of a model takes pictures, or None: it reads texts only.

        Raises ``ValueError`` for a model that takes them in another way.
        """
        if "image" not in getattr(module, "modality_config", {}):
            return None
        processor = getattr(module.processor, "image_processor", None)
        side = getattr(getattr(module.model.config, "vision_config", None), "image_size", None)
        mean, std = (tuple(getattr(processor, name, None) or ()) for name in ("image_mean", "image_std"))
        if not isinstance(side, int) or len(mean) != 3 or len(std) != 3 or not all(std):
            raise ValueError("it takes pictures, but not as squares of RGB like CLIP and SigLIP")
        return cls(side, mean, std)

    def inputs(self, pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Return (n, 3, side, side) of (n, side, side, 3): scaled to 0 to 1, and by mean and deviation."""
        mean, std = np.array(self.mean, dtype=np.float32), np.array(self.std, dtype=np.float32)
        scaled = (pixels.astype(np.float32) / 255.0 - mean) / std
        return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))


@torch.inference_mode()
def full_length(model: Any) -> int | None:
    """Return to how many tokens a library's model wants each text padded; None: to the longest of its batch.

    SigLIP reads the last place of a text, whatever stands there. Raises ``ValueError`` where a text has
    another vector beside others both ways.
    """

    def vectors(texts: Sequence[str], padding: bool | str) -> torch.Tensor:
        tokens = model.tokenizer(
            list(texts),
            padding=padding,
            truncation=True,
            max_length=model.max_seq_length,
            return_tensors="pt",
        )
        found = model({name: value.to(model.device) for name, value in tokens.items()})
        return nn.functional.normalize(found["sentence_embedding"].float(), dim=1)

    for padding, length in ((True, None), ("max_length", model.max_seq_length)):
        singly = torch.cat([vectors([text], padding) for text in _PROOF])
        if float((vectors(_PROOF, padding) * singly).sum(1).min()) >= _SAME:
            return length
    raise ValueError("the vector of a text depends on the texts beside it")


class LibraryModel(TorchModel):
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
        self.device = torch.device(self._model.device)
        self.length = self._model.max_seq_length
        self.prompts = self._model.prompts or {}
        self.picture_inputs = PictureInputs.of(self._model[0])
        padded = self.picture_inputs is not None and full_length(self._model) is not None
        self._padding: bool | str = "max_length" if padded else True
        self.form = self._form()
        if self.config is not None:
            self._fuse()

    def _form(self) -> list[tuple[str, Any]]:
        named = [(type(module).__name__, module) for module in self._model]
        form: list[tuple[str, Any]] = [
            (name, module.get_config_dict() if name == "Pooling" else None) for name, module in named
        ]
        return form if self.picture_inputs is None else [*form, ("pictures", str(self.picture_inputs))]

    def vocabulary(self) -> dict[str, int]:
        """Return all tokens with their numbers."""
        found: dict[str, int] = self._tokenizer.get_vocab()
        return found

    def tokens(self, texts: Sequence[str]) -> Features:
        """Return what the model takes of texts, (n, tokens) each, padded to the longest."""
        tokens = self._tokenizer(
            list(texts),
            padding=self._padding,
            truncation=True,
            max_length=self.length,
            return_tensors="pt",
        )
        return {name: value.to(self.device) for name, value in tokens.items()}

    def vectors(self, features: Features, layers: Callable[..., torch.Tensor] | None = None) -> torch.Tensor:
        """Return (n, dim) vectors of any length; ``layers``: see ``TorchModel.vectors``."""
        layers = layers or self._fused
        found = features
        if layers is None:
            found = self._model(features)
        else:
            found["token_embeddings"] = layers(**features)
            for module in list(self._model)[1:]:
                found = module(found)
        return found["sentence_embedding"]

    @torch.inference_mode()
    def look(self, pixels: npt.NDArray[np.uint8]) -> Vectors:
        """Return (n, dim): see ``EmbeddingModel.look``."""
        if self.picture_inputs is None:
            return super().look(pixels)
        inputs = self.picture_inputs.inputs(pixels).to(self.device)
        return array_of(self._model({"pixel_values": inputs, "modality": "image"})["sentence_embedding"])

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
        self.fused = same
        if same:
            self._bert.encoder.layer = nn.ModuleList()
        else:
            self._fused = None

    def _proof(self) -> torch.Tensor:
        found = [self.vectors(self.tokens(texts)) for texts in (_PROOF, _PROOF[:1])]
        return nn.functional.normalize(torch.cat(found).float(), dim=1)

"""Text to unit vectors, with a model that lies in a folder of this machine.

The only inference in searchloop. Queries and documents reach the model in the same form
(``normalise_query``).
Text goes straight to the tokenizer, so that a text which looks like the address of a picture is never
fetched.
It knows no products, no releases and no index.
"""

import hashlib
import json
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
import transformers
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from torch import nn

from retrieval.fused import FusedBert
from retrieval.model_folder import ModelError, fingerprint, resolve_model
from retrieval.query_vectors import QueryVectors
from schemas.text import normalise_query

Vectors = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_PROOF = (
    "tv",
    "wireless headphones with a long cable",
    "usb c",
    "5 kg of rice, and what the neighbours said about it at length",
)
_ROUNDING = 1e-5
_LEAST_COSINE = 0.9999
_UNREADABLE = (OSError, ValueError, LookupError, RuntimeError, TypeError, ImportError, SafetensorError)


class Layers(Protocol):
    """A BERT in another runtime: (n, tokens) ids, types and mask to (n, tokens, dim), padding zero."""

    def __call__(self, ids: Integers, types: Integers, mask: Integers) -> Vectors:
        """Return the last layer's vectors of the tokens."""


class EncodingError(ArithmeticError):
    """The model gave a vector that is not finite or has no length; nothing of the batch is returned."""


def prompts_of(model: SentenceTransformer) -> tuple[str, str]:
    """Return what stands before a query, and before a document; "" where the model wants nothing there."""
    prompts = model.prompts or {}
    return str(prompts.get("query") or ""), str(prompts.get("document") or prompts.get("passage") or "")


class Encoder:
    """A loaded model. Its calls may come from several threads; they run one after the other."""

    def __init__(self, model: SentenceTransformer, folder: Path, digest: str) -> None:
        self._model = model
        self._tokenizer: Any = model.tokenizer
        self._lock = threading.Lock()
        self._fused: FusedBert | None = None
        self._remembered: QueryVectors | None = None
        self._small: tuple[Layers, int] | None = None
        self._query_prompt, self._document_prompt = prompts_of(model)
        self.folder = folder
        self.fingerprint = digest
        self.dim = int(model.get_embedding_dimension() or 0)

    @classmethod
    def load(
        cls, model: str | Path, *, device: str = "cpu", threads: int | None = None, remembered: int = 0
    ) -> Self:
        """Load a model for inference. ``threads`` sets torch's threads for the entire process.

        The vectors of the last ``remembered`` different queries are held and given again, bit for bit.
        Raises ``ModelError`` when it is missing, unreadable, has no tokenizer, or says no dimension.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        folder = resolve_model(str(model))
        transformers.utils.logging.disable_progress_bar()
        try:
            loaded = SentenceTransformer(
                str(folder),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except _UNREADABLE as error:
            raise ModelError(f"the model in {folder} cannot be loaded: {error}") from error
        loaded.eval()
        if loaded.tokenizer is None:
            raise ModelError(f"the model in {folder} has no tokenizer, so it cannot encode text")
        encoder = cls(loaded, folder, fingerprint(folder))
        if encoder.dim <= 0:
            raise ModelError(f"the model in {folder} does not say the dimension of its vectors")
        encoder._fuse()
        encoder._remembered = QueryVectors(remembered) if remembered else None
        return encoder

    @property
    def fused(self) -> bool:
        """Whether the model runs in torch's fused layers.

        A BERT, whose vectors were the same both ways when it was loaded.
        """
        return self._fused is not None

    def _fuse(self) -> None:
        """Let torch's fused layers take over where they give the same vectors.

        The model's own are let go.
        """
        bert: Any = getattr(self._model[0], "model", None)
        if type(bert) is not transformers.BertModel:
            return
        try:
            plain = self._batch(_PROOF)
            self._fused = FusedBert(bert)
            # Once per process, torch says that nested tensors may change: hence the proof
            with warnings.catch_warnings(action="ignore"):
                fused = np.concatenate([self._batch(_PROOF), self._batch(_PROOF[:1])])
            same = float(np.abs(fused - np.concatenate([plain, plain[:1]])).max()) <= _ROUNDING
        except (*_UNREADABLE, EncodingError, AttributeError, AssertionError):
            # Whatever it is, it works as it is
            same = False
        if same:
            bert.encoder.layer = nn.ModuleList()
        else:
            self._fused = None

    @property
    def quick(self) -> bool:
        """Whether ``quicken`` found layers that compute small batches."""
        return self._small is not None

    def quicken(self, make: Callable[[Path, Any], Layers], tokens: int) -> str | None:
        """Let the layers that ``make`` gives for (folder, ``BertConfig``) compute batches of few tokens.

        Of at most ``tokens``, padding counted. Return None when they do: their vectors of golden texts,
        singly and together, have a cosine of at least .9999 with torch's. Otherwise return why not; torch
        computes all then.
        """
        bert: Any = getattr(self._model[0], "model", None)
        if type(bert) is not transformers.BertModel or self._model.device.type != "cpu":
            return f"{type(bert).__name__} on {self._model.device.type}: only a BERT on a CPU has such layers"
        try:
            wanted = self._golden()
            self._small = make(self.folder, bert.config), sys.maxsize
            cosines = (self._golden() * wanted).sum(axis=1)
            self._small = self._small[0], tokens
        except Exception as error:
            # Whatever a runtime raises for a model that it cannot run: torch can
            self._small = None
            return f"{type(error).__name__}: {error}"[:300]
        if not cosines.min() >= _LEAST_COSINE:
            self._small = None
            return f"vectors differ from torch's: the least cosine is {cosines.min():.6f}"
        return None

    def _golden(self) -> Vectors:
        return np.concatenate([self._batch(_PROOF), *(self._batch([text]) for text in _PROOF)])

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dim) unit rows in the order of the texts, encoded as one batch; (0, dim) for none.

        Raises ``EncodingError`` when a row is not finite; nothing of such a batch is remembered.
        """
        prepared = [self._query_prompt + normalise_query(t) for t in texts]
        if self._remembered is None or not prepared:
            return self._batch(prepared)
        return self._remembered.of(prepared, self._batch)

    def encode_documents(self, texts: Sequence[str], *, batch_size: int = 32) -> Vectors:
        """Return (n, dim) unit rows in the order of the texts.

        Texts of like length share a batch, which saves padding. Raises ``EncodingError`` when a row is not
        finite.
        """
        prepared = [self._document_prompt + normalise_query(t) for t in texts]
        order = sorted(range(len(prepared)), key=lambda i: len(prepared[i]), reverse=True)
        out = np.zeros((len(prepared), self.dim), dtype=np.float32)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            out[rows] = self._batch([prepared[i] for i in rows])
        return out

    @cached_property
    def form(self) -> str:
        """Return the sha256 over what a fine-tune leaves as it is.

        Kinds of modules, pooling, prompts, length, vocabulary. Asked of the loaded modules, since libraries
        write the same thing into different files.
        """
        parts = [
            (type(m).__name__, m.get_config_dict() if type(m).__name__ == "Pooling" else None)
            for m in self._model
        ]
        vocabulary = sorted(self._tokenizer.get_vocab().items())
        told = [parts, self._query_prompt, self._document_prompt, self._model.max_seq_length, vocabulary]
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()

    def _batch(self, prepared: Sequence[str]) -> Vectors:
        if not prepared:
            return np.zeros((0, self.dim), dtype=np.float32)
        with self._lock, torch.inference_mode():
            tokens = self._tokenizer(
                list(prepared),
                padding=True,
                truncation=True,
                max_length=self._model.max_seq_length,
                return_tensors="pt",
            )
            features = {name: value.to(self._model.device) for name, value in tokens.items()}
            layers = self._layers(features)
            if layers is None:
                features = self._model(features)
            else:
                features["token_embeddings"] = layers(**features)
                for module in list(self._model)[1:]:
                    features = module(features)
            raw = features["sentence_embedding"].float().cpu().numpy()
        lengths = np.linalg.norm(raw, axis=1, keepdims=True)
        if raw.shape != (len(prepared), self.dim) or not np.isfinite(raw).all() or not (lengths > 0).all():
            raise EncodingError(
                f"the model in {self.folder} gave vectors of shape {raw.shape} that are not finite, or "
                "have no length"
            )
        unit: Vectors = (raw / lengths).astype(np.float32)
        return unit

    def _layers(self, features: dict[str, torch.Tensor]) -> Callable[..., torch.Tensor] | None:
        """Return what computes the vectors of these tokens; None for the model as it is."""
        if self._small is not None and features["input_ids"].numel() <= self._small[1]:
            return partial(_in_numpy, self._small[0])
        return self._fused


def _in_numpy(
    layers: Layers,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    token_type_ids: torch.Tensor | None = None,
    **_: torch.Tensor,
) -> torch.Tensor:
    types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
    return torch.from_numpy(layers(input_ids.numpy(), types.numpy(), attention_mask.numpy()))

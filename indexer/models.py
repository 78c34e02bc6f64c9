"""The loaded models of the generations that follow the catalogue, by fingerprint. All encoding runs in one lane.

A long job is cut into slices, so that a changed product waits for one slice of a build and not for the build.
"""

from collections.abc import Collection, Sequence

import numpy as np

from indexer.lanes import Lane
from retrieval.encoder import Encoder, ModelError, Vectors

SLICE = 32


class Models:
    """Encoders by the sha256 of their model: two generations with the same weights share one."""

    def __init__(self, lane: Lane, threads: int) -> None:
        self._lane = lane
        self._threads = threads
        self._loaded: dict[str, Encoder] = {}

    async def load(self, model: str, sha256: str | None = None) -> Encoder:
        """Load a model, or return it when it is loaded. Raises ``ModelError`` when it is missing or not the one of ``sha256``."""
        if sha256 in self._loaded:
            return self._loaded[sha256]
        encoder = await self._lane(_load, model, self._threads)
        if sha256 not in {None, encoder.fingerprint}:
            raise ModelError(f"model {model} has fingerprint {encoder.fingerprint}, the release says {sha256}")
        self._loaded[encoder.fingerprint] = encoder
        return encoder

    async def encode(self, sha256: str, texts: Sequence[str]) -> Vectors:
        """Return (n, dim) unit rows of document texts by a loaded model; (0, dim) for none."""
        encoder = self._loaded[sha256]
        parts = [await self._lane(encoder.encode_documents, texts[i : i + SLICE]) for i in range(0, len(texts), SLICE)]
        return np.concatenate(parts) if parts else np.zeros((0, encoder.dim), dtype=np.float32)

    def keep(self, sha256s: Collection[str]) -> None:
        """Forget the models that no generation needs any more."""
        self._loaded = {sha256: encoder for sha256, encoder in self._loaded.items() if sha256 in sha256s}


def _load(model: str, threads: int) -> Encoder:
    try:
        return Encoder.load(model, threads=threads)
    except ModelError:
        raise
    except Exception as error:  # whatever a library raises on a broken folder is a fault of the candidate, not of this process
        raise ModelError(f"model {model} cannot be loaded: {type(error).__name__}: {error}") from error

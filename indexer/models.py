"""The loaded models of the generations that follow the catalogue, by fingerprint.

All encoding runs in one lane. A long job is cut into slices, so that a changed product waits for one slice of
a build and not for the build. The newest vectors of each model are remembered by the hash of their document:
most changes of a catalogue are of price and stock, and need no encoding.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import structlog

from indexer.lanes import Lane
from indexer.metrics import VECTORS_REMEMBERED
from media.pictures import StorageError, stored_pictures
from retrieval.document import document_hash
from retrieval.encoder import Encoder, Vectors
from retrieval.golden_vectors import GoldenVectors
from retrieval.model_folder import ModelError, fingerprint, resolve_model

log = structlog.get_logger(__name__)

SLICE = 32
AGAIN_S = 5.0  # until storage that did not answer is asked again
REMEMBERED = 50_000  # per model: 85 MB at 384 dimensions


class Remembered:
    """Vectors by the hash of their document, at most ``capacity``.

    The one not asked for the longest goes first.
    """

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._vectors: OrderedDict[str, npt.NDArray[np.float32]] = OrderedDict()
        self._capacity = capacity

    def get(self, document: str) -> npt.NDArray[np.float32] | None:
        """Return the vector of a document, or None."""
        key = document_hash(document)
        if key in self._vectors:
            self._vectors.move_to_end(key)
        return self._vectors.get(key)

    def put(self, documents: Sequence[str], vectors: Vectors) -> None:
        """Remember the rows (n, dim) of n documents."""
        self.put_hashed(dict(zip(map(document_hash, documents), vectors, strict=True)))

    def put_hashed(self, vectors: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Remember vectors by the hash of their document."""
        for key, vector in vectors.items():
            self._vectors[key] = vector.copy()  # a view would keep the whole matrix it is a row of
            if len(self._vectors) > self._capacity:
                self._vectors.popitem(last=False)


class Models:
    """Encoders by the sha256 of their model: two generations with the same weights share one."""

    def __init__(self, lane: Lane, threads: int, artefacts: str) -> None:
        """``artefacts``: the address of the store of prepared pictures and golden vectors."""
        self._lane = lane
        self._threads = threads
        self._artefacts = artefacts
        self._loaded: dict[str, Encoder] = {}
        self._remembered: dict[str, Remembered] = {}

    async def load(self, model: str, sha256: str | None = None) -> Encoder:
        """Load a model, or return it when it is loaded.

        Raises ``ModelError`` when it is missing, not the one of ``sha256``, or says something else here than
        where it was first loaded.
        """
        if sha256 in self._loaded:
            return self._loaded[sha256]
        encoder = await self._lane(_load, model, sha256, self._threads, self._artefacts)
        self._loaded[encoder.fingerprint] = encoder
        self._remembered.setdefault(encoder.fingerprint, Remembered())
        return encoder

    def loaded(self, sha256: str) -> bool:
        """Say whether a model is loaded."""
        return sha256 in self._loaded

    def get(self, sha256: str) -> Encoder:
        """Return a loaded model. Raises ``KeyError`` for another."""
        return self._loaded[sha256]

    async def encode(self, sha256: str, documents: Sequence[str]) -> Vectors:
        """Return (n, dim) unit rows of documents by a loaded model; (0, dim) for none.

        What the model reads alike is encoded once. While the storage of pictures does not answer this waits.
        """
        encoder, remembered = self._loaded[sha256], self._remembered[sha256]
        read = [encoder.read_of(document) for document in documents]
        found = {document: remembered.get(document) for document in read}
        new = [document for document, vector in found.items() if vector is None]
        for start in range(0, len(new), SLICE):
            some = new[start : start + SLICE]
            vectors = await self._encoded(encoder, some)
            remembered.put(some, vectors)
            found |= dict(zip(some, vectors, strict=True))
        VECTORS_REMEMBERED.inc(len(found) - len(new))
        rows = [vector for document in read if (vector := found[document]) is not None]
        return np.stack(rows) if rows else np.zeros((0, encoder.dim), dtype=np.float32)

    async def _encoded(self, encoder: Encoder, documents: Sequence[str]) -> Vectors:
        while True:
            try:
                return await self._lane(encoder.encode_documents, documents)
            except StorageError as error:
                log.warning("products with pictures wait", reason=str(error), again_in_s=AGAIN_S)
                await asyncio.sleep(AGAIN_S)

    def remember(self, sha256: str, vectors: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Take over vectors of a loaded model by the hash of what it reads of their document.

        Only proven ones: what is remembered is never encoded again.
        """
        self._remembered[sha256].put_hashed(vectors)

    def keep(self, sha256s: Collection[str]) -> None:
        """Forget the models that no generation needs any more."""
        self._loaded = {sha256: encoder for sha256, encoder in self._loaded.items() if sha256 in sha256s}
        self._remembered = {
            sha256: vectors for sha256, vectors in self._remembered.items() if sha256 in sha256s
        }


def _load(model: str, sha256: str | None, threads: int, artefacts: str) -> Encoder:
    golden = GoldenVectors(artefacts)
    try:
        if sha256 is not None and fingerprint(resolve_model(model)) != sha256:  # nothing of another is loaded
            raise ModelError(  # noqa: TRY301 (of the same kind as what is raised below)
                f"model {model} is not the one that the release names by its fingerprint {sha256[:12]}"
            )
        encoder = Encoder.load(model, threads=threads, pictures=stored_pictures(artefacts))
        golden.check(encoder)
        golden.keep(encoder)
    except ModelError:
        raise
    except Exception as error:
        # Whatever a library raises on a broken folder is a fault of the candidate, not of this process
        raise ModelError(f"model {model} cannot be loaded: {type(error).__name__}: {error}") from error
    return encoder

"""The vectors of one model by the hash of their text, kept in a file between two refreshes.

So that a refresh encodes what is new and nothing else. It holds no text, and what was not asked for is not
written again.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from retrieval.document import document_hash
from retrieval.encoder import Encoder, Vectors
from trainer.evaluation.rankers import embed_queries
from trainer.run.folder import write_durably

Vector = npt.NDArray[np.float32]
Encode = Callable[[list[str]], Vectors]
_QUERY, _DOCUMENT = "q", "d"


class KnownVectors:
    """Vectors of queries and of documents; ``encoded`` counts those that were not known."""

    def __init__(self, encoder: Encoder, known: Mapping[str, Vector] | None = None) -> None:
        self._encoder = encoder
        self._known = dict(known or {})
        self._asked: dict[str, Vector] = {}
        self.encoded = 0

    @classmethod
    def read(cls, encoder: Encoder, path: Path, documents: Path | None = None) -> "KnownVectors":
        """Read what ``write`` wrote; ``documents``: what an evaluation wrote of the catalogue.

        A file that is not there, damaged, or of another model, only costs time.
        """
        known: dict[str, Vector] = {}
        if documents is not None:
            known |= {_DOCUMENT + name: row for name, row in _rows(documents, encoder.dim).items()}
        return cls(encoder, known | _rows(path, encoder.dim, encoder.fingerprint))

    @property
    def model_sha256(self) -> str:
        """The fingerprint of the model."""
        return self._encoder.fingerprint

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dim) unit rows in the order of the texts."""
        return self._of(_QUERY, texts, lambda new: embed_queries(self._encoder, new))

    def documents(self, documents: Sequence[str]) -> Vectors:
        """Return (n, dim) unit rows in the order of the documents."""
        read = [self._encoder.read_of(document) for document in documents]
        return self._of(_DOCUMENT, read, self._encoder.encode_documents)

    def write(self, path: Path) -> None:
        """Write what was asked for."""
        partial = path.with_name(path.name + ".partial.npz")
        vectors = np.array(list(self._asked.values()), dtype=np.float32).reshape(-1, self._encoder.dim)
        names, model = np.array(list(self._asked), dtype=np.str_), np.array(self._encoder.fingerprint)
        np.savez(partial, hashes=names, vectors=vectors, model=model)
        write_durably(path, partial.read_bytes())
        partial.unlink()

    def _of(self, kind: str, texts: Sequence[str], encode: Encode) -> Vectors:
        names = {text: kind + document_hash(text) for text in texts}
        new = sorted(text for text, name in names.items() if name not in self._known)
        if new:
            self.encoded += len(new)
            self._known |= zip((names[text] for text in new), encode(new), strict=True)
        self._asked |= {name: self._known[name] for name in names.values()}
        rows = [self._known[names[text]] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(texts), self._encoder.dim)


def _rows(path: Path, dim: int, model: str | None = None) -> dict[str, Vector]:
    # What zipfile and numpy make of damaged bytes has no common class: BadZipFile, NotImplementedError, ...
    with suppress(Exception), np.load(path, allow_pickle=False) as file:
        if model is not None and str(file["model"]) != model:
            return {}
        names, vectors = file["hashes"], np.asarray(file["vectors"], dtype=np.float32)
        if names.ndim == 1 and vectors.shape == (len(names), dim) and np.isfinite(vectors).all():
            return dict(zip(map(str, names), vectors, strict=True))
    return {}

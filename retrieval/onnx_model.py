"""A plain BERT that ONNX Runtime computes whole, from the model's own files: no torch in the process.

There is nothing to compare it with here: whoever uses it proves its vectors by those that were kept of the
model (``golden_vectors``).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from retrieval.embedding_model import EmbeddingModel, Integers, Layers, Vectors
from retrieval.onnx_bert import OnnxBert
from retrieval.plain_folder import PlainFolder, read_plain_folder
from retrieval.plain_tokenizer import PlainTokenizer


class OnnxModel(EmbeddingModel):
    """The model of one folder, on a CPU."""

    by_torch = False
    kind = "BertModel"

    def __init__(self, folder: PlainFolder, layers: Layers, tokens: int) -> None:
        """``layers`` are given so many tokens at a time, padding counted, or one text.

        Raises ``ValueError`` for a tokenizer that cannot be read.
        """
        self.config, self.length, self.prompts = folder.config, folder.length, folder.prompts
        self.dim, self.form = int(folder.config.hidden_size), folder.form
        self._pooling, self._layers, self._tokens = folder.pooling, layers, tokens
        self._tokenizer = PlainTokenizer(folder)

    @classmethod
    def read(cls, path: Path, *, threads: int, tokens: int) -> Self:
        """Return the model. Raises ``ValueError`` for another kind, else as ``OnnxBert`` does."""
        folder = read_plain_folder(path)
        if folder is None:
            raise ValueError("it is no plain BERT, whose layers ONNX Runtime has here")
        return cls(folder, OnnxBert(path, folder.config, threads), tokens)

    def vocabulary(self) -> dict[str, int]:
        """Return all tokens with their numbers."""
        return self._tokenizer.vocabulary()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dim): see ``EmbeddingModel.encode``."""
        ids, types, mask = self._tokenizer.read(texts).values()
        lengths = mask.sum(axis=1)
        found = [self._vectors(ids[rows], types[rows], mask[rows]) for rows in _parts(lengths, self._tokens)]
        return np.concatenate(found)

    def _vectors(self, ids: Integers, types: Integers, mask: Integers) -> Vectors:
        width = int(mask.sum(axis=1).max())
        hidden = self._layers(ids[:, :width], types[:, :width], mask[:, :width])
        if self._pooling == "cls":
            return hidden[:, 0]
        mean: Vectors = hidden.sum(axis=1) / mask.sum(axis=1, keepdims=True).astype(np.float32)
        return mean


def _parts(lengths: Integers, tokens: int) -> Iterator[slice]:
    """Yield rows that follow each other: together of at most so many tokens, padding counted, or one alone.

    >>> [(rows.start, rows.stop) for rows in _parts(np.array([3, 3, 9, 2, 2]), 8)]
    [(0, 2), (2, 3), (3, 5)]
    """
    start, longest = 0, 0
    for row, length in enumerate(lengths.tolist()):
        longest = max(longest, length)
        if row > start and longest * (row + 1 - start) > tokens:
            yield slice(start, row)
            start, longest = row, length
    yield slice(start, len(lengths))

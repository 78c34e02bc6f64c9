"""Texts to the numbers of a BERT's tokens, the same whoever computes the vectors. Loads no torch."""

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from retrieval.embedding_model import Integers
from retrieval.plain_folder import PlainFolder

_PAD = "[PAD]"


class PlainTokenizer:
    """The tokenizer of a plain folder."""

    def __init__(self, folder: PlainFolder) -> None:
        """Raises ``ValueError`` for a file that cannot be read."""
        try:
            self._tokenizer = Tokenizer.from_file(str(folder.tokenizer))
        except Exception as error:  # it raises no other kind
            raise ValueError(f"{folder.tokenizer.name} cannot be read: {error}") from error
        self._tokenizer.enable_truncation(folder.length)
        number = self._tokenizer.token_to_id(_PAD)
        self._tokenizer.enable_padding(pad_id=number, pad_type_id=0, pad_token=_PAD)

    def vocabulary(self) -> dict[str, int]:
        """Return all tokens with their numbers."""
        return self._tokenizer.get_vocab()

    def read(self, texts: Sequence[str]) -> dict[str, Integers]:
        """Return (n, tokens) numbers, types and the mask of texts, padded to the longest."""
        read = self._tokenizer.encode_batch(list(texts))
        return {
            "input_ids": np.array([one.ids for one in read], dtype=np.int64),
            "token_type_ids": np.array([one.type_ids for one in read], dtype=np.int64),
            "attention_mask": np.array([one.attention_mask for one in read], dtype=np.int64),
        }

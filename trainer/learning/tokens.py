"""Texts as token ids.

Flat and small while they wait, padded only when a batch is made, and only to its longest text.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

_AT_ONCE = 1000  # the tokenizer keeps a hundred bytes a token of what it is asked at once


class Tokens:
    """The texts of a training in a model's tokens, cut to the longest that it reads.

    ``lengths``: of each text, in tokens. ``padded``: to how many tokens batches are padded; None: to their
    longest text.
    """

    def __init__(self, model: Any, texts: Sequence[str], *, padded: int | None = None) -> None:
        self._padded = padded
        self.lengths: list[int] = []
        columns: dict[str, list[Tensor]] = {"input_ids": []}
        for start in range(0, len(texts), _AT_ONCE):
            encoded = model.tokenizer(
                list(texts[start : start + _AT_ONCE]), truncation=True, max_length=model.max_seq_length
            )
            self.lengths += [len(row) for row in encoded["input_ids"]]
            for name in encoded:
                flat = [number for row in encoded[name] for number in row]
                columns.setdefault(name, []).append(torch.tensor(flat, dtype=torch.int32))
        self._columns = {
            name: torch.cat([torch.empty(0, dtype=torch.int32), *own]) for name, own in columns.items()
        }
        self._ends = torch.cumsum(torch.tensor([0, *self.lengths]), 0).tolist()
        self._pad = {"input_ids": int(model.tokenizer.pad_token_id or 0)}

    def batch(self, texts: Sequence[int]) -> dict[str, Tensor]:
        """Return the model's inputs (n, longest) of the texts with these numbers."""
        return {name: self._batch(name, texts) for name in self._columns}

    def _batch(self, name: str, texts: Sequence[int]) -> Tensor:
        flat, pad = self._columns[name], self._pad.get(name, 0)
        rows = [flat[self._ends[i] : self._ends[i + 1]].long() for i in texts]
        batch = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
        lacking = 0 if self._padded is None else self._padded - batch.shape[1]
        return nn.functional.pad(batch, (0, lacking), value=pad) if lacking > 0 else batch

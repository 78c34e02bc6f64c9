"""Text numbers to vectors, with gradients: through the whole model, or through its top layers over remembered lower ones.

On a CPU the lower layers stay as they are, so their output is computed once per text. That is about four times cheaper, and at equal
steps not worse (docs/journal.md). Knows no queries, products or losses, and not who trains.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers.masking_utils import create_bidirectional_mask

from schemas.text import normalise_query

MAX_CACHE_BYTES = 2 << 30
_TOGETHER = 64
_PART = 256
# Architectures whose layers stand in ``encoder.layer`` and take (hidden states, mask).
_LAYERED = frozenset({"bert", "roberta", "xlm-roberta", "camembert"})


class Tower(Protocol):
    """What training needs of a model: how a text's number becomes what the model takes, and which parameters train."""

    def features(self, texts: Tensor) -> dict[str, Tensor]:
        """Return the model's inputs of the texts with these numbers (n,)."""

    def embed(self, texts: Tensor) -> Tensor:
        """Return (n, dim) vectors of the texts with these numbers."""

    def trained(self) -> list[nn.Parameter]:
        """Return the parameters that train."""

    def train_mode(self, on: bool) -> None:
        """Switch dropout of the layers that train."""


class Tokens:
    """Texts as token ids, padded only when a batch is made, and only to its longest text."""

    def __init__(self, model: Any, texts: Sequence[str]) -> None:
        encoded = model.tokenizer(list(texts), truncation=True, max_length=model.max_seq_length) if texts else {"input_ids": []}
        self._columns = {name: [torch.tensor(row) for row in encoded[name]] for name in encoded}
        self._pad = {"input_ids": int(model.tokenizer.pad_token_id or 0)}
        self.lengths = [len(row) for row in encoded["input_ids"]]

    def batch(self, texts: Sequence[int]) -> dict[str, Tensor]:
        """Return the model's inputs (n, longest) of the texts with these numbers."""
        return {
            name: nn.utils.rnn.pad_sequence([rows[i] for i in texts], batch_first=True, padding_value=self._pad.get(name, 0))
            for name, rows in self._columns.items()
        }


def build(model: Any, queries: Sequence[str], products: Sequence[str], *, top_layers: int | None) -> "Tower":
    """Return the tower of a model over queries, then products, in the form in which they are served.

    ``top_layers``: how many layers train where the lower ones can be remembered; None: all train.
    """
    prompts = model.prompts or {}
    of_query, of_document = prompts.get("query") or "", prompts.get("document") or prompts.get("passage") or ""
    asked, sold = [of_query + normalise_query(q) for q in queries], [of_document + normalise_query(p) for p in products]
    tokens = Tokens(model, [*asked, *sold])
    if top_layers is not None and TopTower.fits(model, tokens):
        return TopTower(model, tokens, top_layers)
    return WholeTower(model, tokens)


@torch.no_grad()
def vectors(tower: Tower, texts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return (n, dim) unit rows of the texts with these numbers, without gradients and dropout."""
    tower.train_mode(False)
    parts = [tower.embed(part).float().cpu() for part in torch.split(torch.from_numpy(texts), _PART)]
    unit: npt.NDArray[np.float32] = nn.functional.normalize(torch.cat(parts), dim=-1).numpy()
    return unit


class WholeTower:
    """Every layer trains."""

    def __init__(self, model: Any, tokens: Tokens) -> None:
        self._model, self._tokens = model, tokens
        model.requires_grad_(True)

    def features(self, texts: Tensor) -> dict[str, Tensor]:
        """Return the tokens of the texts with these numbers."""
        return self._tokens.batch(texts.tolist())

    def embed(self, texts: Tensor) -> Tensor:
        """Return (n, dim) vectors of the texts with these numbers."""
        inputs = {name: values.to(self._model.device) for name, values in self.features(texts).items()}
        vectors: Tensor = self._model(inputs)["sentence_embedding"]
        return vectors

    def trained(self) -> list[nn.Parameter]:
        """Return all parameters."""
        return [p for p in self._model.parameters() if p.requires_grad]

    def train_mode(self, on: bool) -> None:
        """Switch dropout."""
        self._model.train(on)


class TopTower:
    """The top layers train; what enters them is remembered per text, in one flat tensor (tokens, hidden)."""

    def __init__(self, model: Any, tokens: Tokens, top_layers: int) -> None:
        self._model, self._tokens = model, tokens
        self._inner = model[0].auto_model
        layers = self._inner.encoder.layer
        self._top = layers[max(0, len(layers) - top_layers) :]
        model.eval()
        model.requires_grad_(False)
        for layer in self._top:
            layer.requires_grad_(True)
        lengths = torch.tensor(tokens.lengths)
        self._starts = torch.cumsum(lengths, 0) - lengths
        self._lengths = lengths
        self._below = torch.empty(int(lengths.sum()), self._inner.config.hidden_size)
        self._remember(layers[: max(0, len(layers) - top_layers)])

    @staticmethod
    def fits(model: Any, tokens: Tokens) -> bool:
        """Say whether the architecture is known and the remembered layers fit into memory."""
        inner = model[0].auto_model
        return inner.config.model_type in _LAYERED and sum(tokens.lengths) * inner.config.hidden_size * 4 <= MAX_CACHE_BYTES

    def features(self, texts: Tensor) -> dict[str, Tensor]:
        """Return the numbers themselves: what enters the top layers is remembered here."""
        return {"input_ids": texts}

    def embed(self, texts: Tensor) -> Tensor:
        """Return (n, dim) vectors of the texts with these numbers. Texts of like length go together, which saves padding."""
        order = torch.argsort(self._lengths[texts], stable=True)
        vectors = torch.cat([self._embed(part) for part in torch.split(texts[order], _TOGETHER)])
        return vectors[torch.argsort(order)]

    def trained(self) -> list[nn.Parameter]:
        """Return the parameters of the top layers."""
        return [p for layer in self._top for p in layer.parameters()]

    def train_mode(self, on: bool) -> None:
        """Switch dropout of the top layers."""
        for layer in self._top:
            layer.train(on)

    def _embed(self, texts: Tensor) -> Tensor:
        lengths = self._lengths[texts]
        longest = torch.arange(int(lengths.max()))
        valid = longest[None, :] < lengths[:, None]
        at = torch.where(valid, self._starts[texts][:, None] + longest[None, :], 0)
        hidden = self._through(self._top, self._below[at] * valid[:, :, None], valid.long())
        features: dict[str, Tensor] = {"token_embeddings": hidden, "attention_mask": valid.long()}
        for module in list(self._model)[1:]:
            features = module(features)
        return features["sentence_embedding"]

    @torch.no_grad()
    def _remember(self, layers: Any) -> None:
        order = sorted(range(len(self._tokens.lengths)), key=lambda i: self._tokens.lengths[i])
        for start in range(0, len(order), _TOGETHER):
            rows = order[start : start + _TOGETHER]
            inputs = self._tokens.batch(rows)
            mask = inputs.pop("attention_mask")
            hidden = self._through(layers, self._inner.embeddings(**inputs), mask)
            for row, output in zip(rows, hidden, strict=True):
                begin, length = int(self._starts[row]), self._tokens.lengths[row]
                self._below[begin : begin + length] = output[:length]

    def _through(self, layers: Any, hidden: Tensor, mask: Tensor) -> Tensor:
        spread = create_bidirectional_mask(config=self._inner.config, inputs_embeds=hidden, attention_mask=mask)
        for layer in layers:
            hidden = layer(hidden, spread)
        return hidden

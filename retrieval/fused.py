"""The layers of a BERT as torch's own ``TransformerEncoder``, for inference.

One call a layer instead of two dozen, and no padding. Each call into torch gives the interpreter's lock back
and has to get it again; in a searcher, which also speaks to Kafka and Milvus, a forward pass of some hundred
calls waits for it a quarter of its time. Six calls do not. The weights are the model's, and so are the
vectors, up to rounding: whoever fuses a model proves it on texts.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 torch's own name for it


class FusedBert(nn.Module):
    """Embeddings and layers of a BERT.

    Takes what its tokenizer gives; returns (n, tokens, dim), padding to be ignored.
    """

    word: torch.Tensor
    position: torch.Tensor
    token_type: torch.Tensor

    def __init__(self, config: Any, weights: Mapping[str, torch.Tensor]) -> None:
        """Take over the weights, by their names in a ``BertModel`` of this ``BertConfig``.

        Raises ``ValueError`` for a model that torch's layers cannot be, ``LookupError`` where weights lack.
        """
        super().__init__()
        positions = getattr(config, "position_embedding_type", "absolute")
        if (
            config.hidden_act != "gelu"
            or config.is_decoder
            or positions != "absolute"
            or config.num_attention_heads % 2
        ):
            raise ValueError("not an encoder with gelu, absolute positions and an even number of heads")
        for name in ("word", "position", "token_type"):
            self.register_buffer(name, weights[f"embeddings.{name}_embeddings.weight"])
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps, device="meta")
        norm = {kind: weights[f"embeddings.LayerNorm.{kind}"] for kind in ("weight", "bias")}
        self.norm.load_state_dict(norm, assign=True)
        layer = nn.TransformerEncoderLayer(
            config.hidden_size,
            config.num_attention_heads,
            config.intermediate_size,
            activation="gelu",
            batch_first=True,
            layer_norm_eps=config.layer_norm_eps,
            dtype=norm["weight"].dtype,
            device="meta",
        )
        self.layers = nn.TransformerEncoder(layer, config.num_hidden_layers)
        for number, mine in enumerate(self.layers.layers):
            # The model's file is mapped: processes share all but q, k, v
            mine.load_state_dict(_of_layer(weights, f"encoder.layer.{number}"), assign=True)
        self.eval()
        # Once per process, torch says that nested tensors may change: whoever fuses proves it on texts
        with warnings.catch_warnings(action="ignore"), torch.inference_mode():
            padded = torch.tensor([[1, 1], [1, 0]], device=self.word.device)
            self(torch.zeros_like(padded), padded)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        **_: torch.Tensor,
    ) -> torch.Tensor:
        """Return the last layer's vectors of the tokens."""
        types = self.token_type[0] if token_type_ids is None else F.embedding(token_type_ids, self.token_type)
        words = F.embedding(input_ids, self.word)
        embedded = self.norm(words + types + self.position[: input_ids.shape[1]])
        padding = attention_mask == 0
        hidden: torch.Tensor = self.layers(embedded, src_key_padding_mask=padding if padding.any() else None)
        return hidden


def _of_layer(theirs: Mapping[str, torch.Tensor], layer: str) -> dict[str, torch.Tensor]:
    own: dict[str, torch.Tensor] = {}
    for kind in ("weight", "bias"):
        own[f"self_attn.in_proj_{kind}"] = torch.cat(
            [theirs[f"{layer}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
        )
        own[f"self_attn.out_proj.{kind}"] = theirs[f"{layer}.attention.output.dense.{kind}"]
        own[f"norm1.{kind}"] = theirs[f"{layer}.attention.output.LayerNorm.{kind}"]
        own[f"linear1.{kind}"] = theirs[f"{layer}.intermediate.dense.{kind}"]
        own[f"linear2.{kind}"] = theirs[f"{layer}.output.dense.{kind}"]
        own[f"norm2.{kind}"] = theirs[f"{layer}.output.LayerNorm.{kind}"]
    return own

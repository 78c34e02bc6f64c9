"""The layers of a BERT as torch's own ``TransformerEncoder``, for inference.

One call a layer instead of two dozen, and no padding. Each call into torch gives the interpreter's lock back
and has to get it again; in a searcher, which also speaks to Kafka and Milvus, a forward pass of some hundred
calls waits for it a quarter of its time. Six calls do not. The weights are the model's, and so are the
vectors, up to rounding: whoever fuses a model proves it on texts.
"""

from typing import Any

import torch
from torch import nn
from transformers import BertModel


class FusedBert(nn.Module):
    """Embeddings and layers of a ``BertModel``.

    Takes what its tokenizer gives; returns (n, tokens, dim), padding to be ignored.
    """

    def __init__(self, bert: BertModel) -> None:
        """Take over the layers' weights. Raises ``ValueError`` for a model that torch's layers cannot be."""
        super().__init__()
        config: Any = bert.config
        positions = getattr(config, "position_embedding_type", "absolute")
        if (
            config.hidden_act != "gelu"
            or config.is_decoder
            or positions != "absolute"
            or config.num_attention_heads % 2
        ):
            raise ValueError("not an encoder with gelu, absolute positions and an even number of heads")
        self.embeddings = bert.embeddings
        layer = nn.TransformerEncoderLayer(
            config.hidden_size,
            config.num_attention_heads,
            config.intermediate_size,
            activation="gelu",
            batch_first=True,
            layer_norm_eps=config.layer_norm_eps,
            dtype=bert.dtype,
            device="meta",
        )
        self.layers = nn.TransformerEncoder(layer, config.num_hidden_layers)
        for mine, theirs in zip(self.layers.layers, bert.encoder.layer, strict=True):
            # The model's file is mapped: processes share all but q, k, v
            mine.load_state_dict(_weights(theirs), assign=True)
        self.eval()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        **_: torch.Tensor,
    ) -> torch.Tensor:
        """Return the last layer's vectors of the tokens."""
        embedded = self.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
        padding = attention_mask == 0
        hidden: torch.Tensor = self.layers(embedded, src_key_padding_mask=padding if padding.any() else None)
        return hidden


def _weights(layer: nn.Module) -> dict[str, torch.Tensor]:
    theirs = layer.state_dict()
    own: dict[str, torch.Tensor] = {}
    for kind in ("weight", "bias"):
        own[f"self_attn.in_proj_{kind}"] = torch.cat(
            [theirs[f"attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
        )
        own[f"self_attn.out_proj.{kind}"] = theirs[f"attention.output.dense.{kind}"]
        own[f"norm1.{kind}"] = theirs[f"attention.output.LayerNorm.{kind}"]
        own[f"linear1.{kind}"] = theirs[f"intermediate.dense.{kind}"]
        own[f"linear2.{kind}"] = theirs[f"output.dense.{kind}"]
        own[f"norm2.{kind}"] = theirs[f"output.LayerNorm.{kind}"]
    return own

"""Small models of texts and pictures in one space, made from their configuration: no weights to download.

CLIP (Radford et al., 2021) and SigLIP (Zhai et al., 2023) with a vocabulary of the texts at hand, saved as
sentence-transformers folders. Their weights are random, from a seed.
"""

import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

Kind = Literal["clip", "siglip"]
_SPECIAL = ["[PAD]", "[UNK]", "[BOS]", "[EOS]"]


@dataclass(frozen=True)
class Size:
    """How large a model is: of both towers, and squares of ``side`` pixels in patches of ``patch``."""

    hidden: int = 32
    layers: int = 2
    heads: int = 2
    side: int = 32
    patch: int = 8
    words: int = 512
    tokens: int = 64


def small_model(
    folder: Path, texts: Iterable[str], *, kind: Kind = "clip", size: Size = Size(), seed: int = 0
) -> Path:
    """Make a model that reads texts and sees pictures, in ``folder``, which must not exist. Return it."""
    tokenizer = _tokenizer(texts, size)
    torch.manual_seed(seed)
    model, processor = (_clip if kind == "clip" else _siglip)(tokenizer, size)
    raw = folder.with_name(folder.name + ".raw")
    model.save_pretrained(raw)
    processor.save_pretrained(raw)
    whole = SentenceTransformer(modules=[Transformer(str(raw)), Normalize()], device="cpu")
    whole.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)
    shutil.rmtree(raw)
    return folder


def _tokenizer(texts: Iterable[str], size: Size) -> Any:
    words = Tokenizer(models.WordPiece(unk_token=_SPECIAL[1]))
    words.normalizer = normalizers.BertNormalizer(lowercase=True)
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    vocabulary = _vocabulary(texts, words, size.words)
    words.model = models.WordPiece(vocabulary, unk_token=_SPECIAL[1])
    words.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 2), ("[EOS]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "bos_token", "eos_token"), _SPECIAL, strict=True))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=size.tokens, **names)


def _vocabulary(texts: Iterable[str], words: Tokenizer, most: int) -> dict[str, int]:
    """Return the numbers of the most frequent words, and of every character, so that any word is read.

    Ties by alphabet: the library's trainer of vocabularies gives another one in each process.
    """
    found: Counter[str] = Counter()
    for text in texts:
        spelt = words.normalizer.normalize_str(text)
        found.update(word for word, _ in words.pre_tokenizer.pre_tokenize_str(spelt))
    characters = sorted({character for word in found for character in word})
    pieces = [*_SPECIAL, *characters, *(f"##{character}" for character in characters)]
    frequent = sorted(found, key=lambda word: (-found[word], word))
    return {piece: n for n, piece in enumerate(list(dict.fromkeys([*pieces, *frequent]))[:most])}


def _towers(tokenizer: Any, size: Size) -> dict[str, dict[str, int]]:
    both = {
        "hidden_size": size.hidden,
        "intermediate_size": 2 * size.hidden,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
    }
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    text = both | ids | {"vocab_size": len(tokenizer), "max_position_embeddings": size.tokens}
    return {
        "text_config": text,
        "vision_config": both | {"image_size": size.side, "patch_size": size.patch},
    }


def _clip(tokenizer: Any, size: Size) -> tuple[Any, Any]:
    config = transformers.CLIPConfig(**_towers(tokenizer, size), projection_dim=size.hidden)
    images = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": size.side}, crop_size={"height": size.side, "width": size.side}
    )
    return transformers.CLIPModel(config), transformers.CLIPProcessor(images, tokenizer)


def _siglip(tokenizer: Any, size: Size) -> tuple[Any, Any]:
    towers = _towers(tokenizer, size)
    towers["text_config"]["projection_size"] = size.hidden
    config = transformers.SiglipConfig(**towers)
    images = transformers.SiglipImageProcessorPil(size={"height": size.side, "width": size.side})
    return transformers.SiglipModel(config), transformers.SiglipProcessor(images, tokenizer)

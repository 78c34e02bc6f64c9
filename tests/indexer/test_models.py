"""Remembering vectors: a text is looked up by what it says, and memory has an end."""

import numpy as np

from indexer.lanes import Lane
from indexer.models import Models, Remembered
from media.pictures import StorageError


def rows(*values: float) -> np.ndarray:
    return np.array([[v, v] for v in values], dtype=np.float32)


def test_a_text_that_was_encoded_is_remembered_and_others_are_not():
    remembered = Remembered()
    remembered.put(["a", "b"], rows(1, 2))
    assert remembered.get("b") is not None
    assert remembered.get("b")[0] == 2
    assert remembered.get("c") is None


def test_what_was_not_asked_for_the_longest_is_forgotten_first():
    remembered = Remembered(2)
    remembered.put(["a", "b"], rows(1, 2))
    remembered.get("a")
    remembered.put(["c"], rows(3))
    assert remembered.get("b") is None
    assert remembered.get("a") is not None
    assert remembered.get("c") is not None


def test_what_is_remembered_keeps_no_more_than_itself_in_memory():
    """A row of a matrix is a view: one product of a candidate's vectors kept those of the whole catalogue."""
    matrix = rows(*range(1000))
    remembered = Remembered()
    remembered.put_hashed({"h": matrix[7]})
    remembered.put(["a"], matrix[:1])
    kept = [remembered.get("a"), remembered._vectors["h"]]
    assert all(
        vector is not None and vector.base is None and not np.shares_memory(vector, matrix) for vector in kept
    )


class SeeingEncoder:
    """An encoder of two numbers; of a document it reads the picture only where it ``sees``."""

    def __init__(self, *, sees: bool, away: int = 0) -> None:
        self.dim, self.fingerprint, self.encoded = 2, "m", []
        self._sees, self._away = sees, away

    def read_of(self, document: str) -> str:
        return document if self._sees else document.partition("\n")[0]

    def encode_documents(self, documents: list[str]) -> np.ndarray:
        if self._away:
            self._away -= 1
            raise StorageError("storage is away")
        self.encoded += documents
        return rows(*range(len(documents)))


async def models_of(encoder: SeeingEncoder, lane: Lane) -> Models:
    models = Models(lane, 1, "")
    models._loaded["m"], models._remembered["m"] = encoder, Remembered()  # type: ignore[assignment]
    return models


async def test_a_picture_is_a_reason_to_encode_again_only_for_a_model_that_sees_it():
    before, after = "shoe\nnone/yet", "shoe\npictures/1/aa/aa"
    with Lane("encoding") as lane:
        for sees, encoded in ((True, [before, after]), (False, ["shoe"])):
            encoder = SeeingEncoder(sees=sees)
            models = await models_of(encoder, lane)
            for document in (before, after, after):
                assert (await models.encode("m", [document])).shape == (1, 2)
            assert encoder.encoded == encoded


async def test_products_wait_while_the_storage_of_pictures_is_away(monkeypatch):
    monkeypatch.setattr("indexer.models.AGAIN_S", 0.01)
    encoder = SeeingEncoder(sees=True, away=3)
    with Lane("encoding") as lane:
        models = await models_of(encoder, lane)
        assert (await models.encode("m", ["shoe\npictures/1/aa/aa"])).shape == (1, 2)
    assert encoder.encoded == ["shoe\npictures/1/aa/aa"]

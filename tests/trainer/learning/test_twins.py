"""Products of one text are one product to a model: none is a negative of a query that wanted the other."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.learning.hard_negatives import mine
from trainer.learning.numbering import Numbers
from trainer.learning.twins import stand_ins

TEXTS = {"a": "Red shoe", "b": "red  shoe", "c": "boot", "d": "BOOT", "e": "hat"}
TWINS = stand_ins(TEXTS)


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _numbers():
    pairs = pl.DataFrame(
        {
            "query": ["q1", "q1", "q2", "q3"],
            "product_id": ["a", "b", "b", "e"],
            "weight": [1.0, 2.0, 1.0, 1.0],
        }
    )
    logs = np.log([0.1, 0.3, 0.3, 0.2, 0.1, 0.1]).tolist()
    known = pl.DataFrame(
        {"query": ["q1", "q1", "q2", "q3", "q1", "q2"], "product_id": list("abbecd"), "log_popularity": logs}
    )
    inner = pl.DataFrame({"query": ["v", "v", "v"], "product_id": ["b", "a", "e"], "gain": [1.0, 3.0, 2.0]})
    return Numbers.of(pairs, known, inner, TWINS)


def test_the_smallest_id_stands_for_all_that_are_encoded_alike():
    assert TWINS == {"b": "a", "d": "c"}


def test_what_is_known_of_a_product_is_known_of_all_with_its_text():
    numbers = _numbers()
    assert numbers.products == ["a", "c", "e"]
    assert numbers.product.tolist() == [0, 0, 0, 2]
    assert {(numbers.queries[q], numbers.products[p]) for q, p in numbers.known.tolist()} == {
        ("q1", "a"),
        ("q1", "c"),
        ("q2", "a"),
        ("q2", "c"),
        ("q3", "e"),
    }


def test_twins_are_as_popular_as_they_are_together_and_gain_what_the_better_one_gains():
    numbers = _numbers()
    assert np.allclose(np.exp(numbers.log_popularity), [0.4, 0.2, 0.2])
    assert numbers.gains == [{0: 3.0, 2: 2.0}]


def test_without_twins_every_product_has_its_number():
    pairs = pl.DataFrame({"query": ["q"], "product_id": ["b"], "weight": [1.0]})
    assert Numbers.of(pairs, pairs.select("query", "product_id")).products == ["b"]


def test_a_product_that_the_model_cannot_tell_from_a_positive_is_not_mined():
    base = _unit(np.random.default_rng(0).normal(size=(6, 16)))
    products = base[[0, 0, 1, 2, 3, 4]]
    found = mine(base[:2], products, np.array([[0, 0], [1, 2], [1, 1]]), among=np.arange(6), depth=4)
    assert not {0, 1} & set(found.table[0][: found.counts[0]].tolist())
    assert not {0, 1, 2} & set(found.table[1][: found.counts[1]].tolist())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 30), st.integers(1, 30), st.booleans())
def test_mined_are_the_nearest_in_order_as_a_full_sort_says(seed, queries, products, depth, tied):
    rng = np.random.default_rng(seed)
    left, right = _unit(rng.normal(size=(queries, 4))), _unit(rng.normal(size=(products, 4)))
    if tied:
        right = _unit(np.sign(right))
    known = np.stack([rng.integers(queries, size=9), rng.integers(products, size=9)], axis=1)
    among = np.unique(rng.integers(products, size=products))
    found = mine(left, right, known, among=among, depth=depth)
    for query in range(queries):
        order = among[np.argsort(-np.round(left[query] @ right[among].T, 6), kind="stable")][:depth]
        own = {right[p].tobytes() for q, p in known.tolist() if q == query}
        wanted = [p for p in order.tolist() if right[p].tobytes() not in own]
        got = found.table[query][: found.counts[query]].tolist()
        scores = np.round(left[query] @ right.T, 5)
        assert len(got) == len(wanted)
        assert np.allclose(scores[got], scores[wanted], atol=2e-5)

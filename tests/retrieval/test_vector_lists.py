"""Lists of vectors: the nearest are found without reading all, and what is kept of them is close enough."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.vector_lists import EXACT, LONGEST, VISITED, VectorLists, best, build_lists


def unit(rows: int, dim: int, seed: int) -> np.ndarray:
    """Return rows around some fifty centres, as texts of a shop are."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((50, dim))
    made = centres[rng.integers(0, 50, rows)] + 0.5 * rng.standard_normal((rows, dim))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 300), st.integers(1, 64), st.integers(0, 9))
def test_of_few_vectors_the_nearest_are_those_of_a_full_search(rows: int, count: int, seed: int) -> None:
    vectors = unit(rows, 16, seed)
    lists = VectorLists.of(build_lists(vectors))
    everything = np.arange(rows)
    asked = unit(1, 16, seed + 100)[0]
    found = lists.nearest(asked, count)
    assert found.tolist() == best(everything, lists.cosines(asked, everything), count).tolist()
    assert lists.cosines(asked, everything) == pytest.approx(vectors @ asked, abs=0.01)


def test_of_many_vectors_nearly_all_of_the_nearest_are_found() -> None:
    vectors = unit(3 * EXACT, 32, 1)
    lists = VectorLists.of(build_lists(vectors))
    assert len(lists.starts) > 100
    shares = []
    for asked in unit(20, 32, 2):
        exact = best(np.arange(len(vectors)), vectors @ asked, 50)
        shares.append(np.isin(exact, lists.nearest(asked, 50)).mean())
    assert np.mean(shares) > 0.9
    for row in range(0, len(vectors), 997):
        assert row in lists.nearest(vectors[row], 10)


def test_no_list_is_long_however_alike_the_vectors_are() -> None:
    """A shop may have any number of equal texts: what is read for one query is bounded all the same."""
    lists = VectorLists.of(build_lists(np.repeat(unit(1, 8, 1), 2 * EXACT, axis=0)))
    sizes = np.diff(lists.starts)
    assert sizes.sum() == 2 * EXACT
    assert sizes.max() == LONGEST
    assert VISITED >= LONGEST
    assert sorted(lists.rows.tolist()) == list(range(2 * EXACT))


def test_of_equal_scores_the_smaller_row_is_the_better() -> None:
    rows = np.array([7, 3, 9, 1])
    assert best(rows, np.array([0.5, 0.5, 0.9, 0.5], dtype=np.float32), 2).tolist() == [1, 9]
    assert best(rows, np.zeros(4, dtype=np.float32), 9).tolist() == [1, 3, 7, 9]

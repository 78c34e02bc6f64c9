"""Remembering vectors: a text is looked up by what it says, and memory has an end."""

import numpy as np

from indexer.models import Remembered


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

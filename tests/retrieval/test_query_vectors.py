"""Vectors of earlier queries, with a toy of an encoder that counts what it is given."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from retrieval.query_vectors import HITS, MISSES, QueryVectors, Vector


class Toy:
    """Gives each text a random row, so that only the same row twice is equal."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self._random = np.random.default_rng(1)

    def __call__(self, texts: Sequence[str]) -> Vector:
        self.batches.append(list(texts))
        return self._random.random((len(texts), 4), dtype=np.float32)


def test_a_query_asked_again_gets_the_very_vector_and_is_not_encoded_again():
    toy, vectors = Toy(), QueryVectors(10)
    first = vectors.of(["tv", "usb c"], toy)
    again = vectors.of(["usb c", "phone", "tv"], toy)
    assert toy.batches == [["tv", "usb c"], ["phone"]]
    assert (again[0] == first[1]).all()
    assert (again[2] == first[0]).all()


def test_a_text_twice_in_one_batch_is_encoded_once():
    toy, vectors = Toy(), QueryVectors(10)
    rows = vectors.of(["tv", "usb c", "tv"], toy)
    assert toy.batches == [["tv", "usb c"]]
    assert (rows[0] == rows[2]).all()
    assert (rows[0] != rows[1]).any()


def test_the_one_not_asked_for_the_longest_is_evicted():
    toy, vectors = Toy(), QueryVectors(2)
    for text in ("a", "b", "a", "c", "a", "b"):
        vectors.of([text], toy)
    assert len(vectors) == 2
    assert toy.batches == [["a"], ["b"], ["c"], ["b"]]


def test_a_batch_larger_than_the_capacity_is_answered_whole():
    toy, vectors = Toy(), QueryVectors(2)
    assert vectors.of(["a", "b", "c", "d"], toy).shape == (4, 4)
    assert len(vectors) == 2


def test_nothing_is_remembered_of_texts_that_fail():
    def failing(texts: Sequence[str]) -> Vector:
        raise ArithmeticError(str(texts))

    toy, vectors = Toy(), QueryVectors(10)
    with pytest.raises(ArithmeticError, match="tv"):
        vectors.of(["tv", "usb c"], failing)
    assert len(vectors) == 0
    vectors.of(["tv"], toy)
    assert toy.batches == [["tv"]]


def test_what_a_caller_does_to_its_rows_changes_no_later_answer():
    toy, vectors = Toy(), QueryVectors(10)
    first = vectors.of(["tv"], toy)
    kept = first.copy()
    first[:] = 0
    assert (vectors.of(["tv"], toy) == kept).all()


def test_hits_and_misses_are_counted():
    before = HITS._value.get(), MISSES._value.get()
    toy, vectors = Toy(), QueryVectors(10)
    vectors.of(["tv", "usb c"], toy)
    vectors.of(["tv", "phone"], toy)
    assert (HITS._value.get() - before[0], MISSES._value.get() - before[1]) == (1, 3)


def test_threads_that_ask_the_same_queries_agree():
    toy, vectors = Toy(), QueryVectors(8)
    lock, seen = threading.Lock(), dict[str, set[bytes]]()

    def encode(texts: Sequence[str]) -> Vector:
        with lock:
            return toy(texts)

    def ask() -> None:
        for number in range(400):
            text = f"query {number % 8}"
            row = vectors.of([text], encode)[0].tobytes()
            with lock:
                seen.setdefault(text, set()).add(row)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Two threads may encode a new text at the same time; from then on all get what was held first
    assert len(vectors) == 8
    assert all(len(rows) <= 4 for rows in seen.values())
    assert sum(map(len, toy.batches)) <= 8 * 4

"""Which rows are read from the index, and when."""

from collections.abc import Sequence
from typing import cast

import numpy as np

from retrieval.index import VectorStore
from retrieval.product_rows import AT_ONCE, ProductRows
from retrieval.rows import Row
from retrieval.word_schema import Entered

ENTRIES = {f"p{n}": Entered(n, 1) for n in range(2 * AT_ONCE + 1)}


class Index:
    """As much of ``VectorStore`` as rows are read from: those of one collection, and what was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def rows(self, _name: str, ids: Sequence[str], *, newest: bool, timeout_s: float) -> list[Row]:
        assert not newest
        assert timeout_s > 0
        self.asked.append(len(ids))
        vector = np.array([1.0, 0.0], dtype=np.float32)
        return [Row(i, vector, 1, i, version=1) for i in ids if i != "p0"]


def rows_of(index: Index, capacity: int = 1000) -> ProductRows:
    return ProductRows(cast("VectorStore", index), "c", 1, capacity)


def test_a_catalogue_that_fits_is_read_once_and_then_held() -> None:
    index = Index()
    rows = rows_of(index)
    rows.fill(ENTRIES, lambda: False)
    assert index.asked == [AT_ONCE, AT_ONCE, 1]
    assert rows.of({i: ENTRIES[i] for i in ("p7", "p400")}).keys() == {"p7", "p400"}
    rows.fill({i: entry for i, entry in ENTRIES.items() if i != "p0"}, lambda: False)
    assert index.asked == [AT_ONCE, AT_ONCE, 1], "it was read again"


def test_a_catalogue_that_does_not_fit_is_read_as_it_is_needed() -> None:
    index = Index()
    rows = rows_of(index, capacity=len(ENTRIES) - 1)
    rows.fill(ENTRIES, lambda: False)
    assert index.asked == []
    assert rows.of({"p7": ENTRIES["p7"]}).keys() == {"p7"}


def test_what_was_made_anew_under_its_old_version_is_read_again() -> None:
    index = Index()
    rows = rows_of(index)
    rows.of({"p7": Entered(7, 1)})
    rows.of({"p7": Entered(8, 1)})
    rows.of({"p7": Entered(8, 1)})
    assert index.asked == [1, 1]


def test_reading_ahead_ends_when_it_is_told_to() -> None:
    index = Index()
    rows_of(index).fill(ENTRIES, lambda: bool(index.asked))
    assert index.asked == [AT_ONCE]

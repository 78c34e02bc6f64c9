"""The rows of single products of one collection, remembered: for candidates that the nearest do not hold.

A row is asked for again when the catalogue has another version of its product than the row, so a change is
seen as soon as the index holds it. Where the catalogue fits, all of it can be read before anybody asks. Calls
block.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

from retrieval.index import Row, VectorStore

AT_ONCE = 200  # rows of one reading: others search meanwhile


class ProductRows:
    """At most ``capacity`` rows, the ones that were used last. May be shared by threads."""

    def __init__(self, store: VectorStore, collection: str, stamp: int, capacity: int) -> None:
        """``stamp``: the generation that must stand on each row; others are left out."""
        self._store = store
        self._collection = collection
        self._stamp = stamp
        self._capacity = capacity
        self._known: OrderedDict[str, Row] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, versions: Mapping[str, int], *, timeout_s: float = 5.0) -> dict[str, Row]:
        """Return the rows that the collection holds of these products, whose versions the catalogue says.

        Raises ``StoreError``.
        """
        with self._lock:
            found = {
                i: row
                for i, version in versions.items()
                if (row := self._known.get(i)) is not None and row.version == version
            }
            for product_id in found:
                self._known.move_to_end(product_id)
        if lacking := sorted(versions.keys() - found.keys()):
            read = self._store.rows(self._collection, lacking, newest=False, timeout_s=timeout_s)
            fresh = {row.product_id: row for row in read if row.generation == self._stamp}
            with self._lock:
                self._known |= fresh
                while len(self._known) > self._capacity:
                    self._known.popitem(last=False)
            found |= fresh
        return found

    def fill(self, versions: Mapping[str, int], ended: Callable[[], bool]) -> None:
        """Read all of these products, unless they are more than fit; stop early once ``ended`` says so.

        Raises ``StoreError``.
        """
        if len(versions) <= self._capacity:
            for start in range(0, len(ids := sorted(versions)), AT_ONCE):
                if ended():
                    return
                self.of({i: versions[i] for i in ids[start : start + AT_ONCE]})

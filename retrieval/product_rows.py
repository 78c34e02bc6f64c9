"""The rows of single products of one collection, remembered: for candidates that the nearest do not hold.

A row is asked for again when the catalogue has another version of its product than the row, so a change is
seen as soon as the index holds it; and when the product was entered anew since, for one that was deleted may
come back under its old version. Where the catalogue fits, all of it can be read before anybody asks. Calls
block.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

from retrieval.index import Row, VectorStore
from retrieval.word_schema import Entered

AT_ONCE = 200  # rows of one reading: others search meanwhile


class ProductRows:
    """At most ``capacity`` rows, the ones that were used last. May be shared by threads.

    ``compared``: that the catalogue holds the products of the collection has been seen.
    """

    def __init__(self, store: VectorStore, collection: str, stamp: int, capacity: int) -> None:
        """``stamp``: the generation that must stand on each row; others are left out."""
        self._store = store
        self._collection = collection
        self._stamp = stamp
        self._capacity = capacity
        self.compared = False
        self._known: OrderedDict[str, tuple[int, Row]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, entries: Mapping[str, Entered], *, timeout_s: float = 5.0) -> dict[str, Row]:
        """Return the rows that the collection holds of these products, which stand so in the catalogue.

        Raises ``StoreError``.
        """
        with self._lock:
            found = {
                i: known[1]
                for i, entry in entries.items()
                if (known := self._known.get(i)) is not None
                and (known[0], known[1].version) == (entry.number, entry.version)
            }
            for product_id in found:
                self._known.move_to_end(product_id)
        if lacking := sorted(entries.keys() - found.keys()):
            read = self._store.rows(self._collection, lacking, newest=False, timeout_s=timeout_s)
            fresh = {row.product_id: row for row in read if row.generation == self._stamp}
            with self._lock:
                self._known |= {i: (entries[i].number, row) for i, row in fresh.items()}
                while len(self._known) > self._capacity:
                    self._known.popitem(last=False)
            found |= fresh
        return found

    def fits(self, count: int) -> bool:
        """Say whether so many rows can be held."""
        return count <= self._capacity

    def fill(self, entries: Mapping[str, Entered], ended: Callable[[], bool]) -> None:
        """Read all of these products, unless they are more than fit; stop early once ``ended`` says so.

        Raises ``StoreError``.
        """
        if len(entries) <= self._capacity:
            for start in range(0, len(ids := sorted(entries)), AT_ONCE):
                if ended():
                    return
                self.of({i: entries[i] for i in ids[start : start + AT_ONCE]})

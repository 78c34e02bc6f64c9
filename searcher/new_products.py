"""Which products of the catalogue are new, by the time of their first record. It knows no release."""

import threading
from collections.abc import Iterable

from retrieval.word_schema import WordDocument

_TIDIED_MS = 3_600_000.0


class NewProducts:
    """Since when the newest products are there. May be shared by threads."""

    def __init__(self, new_for_ms: float) -> None:
        self._new_for_ms = new_for_ms
        self._since: dict[str, int] = {}
        self._lock = threading.Lock()
        self._tidied = 0.0

    def take(self, documents: Iterable[WordDocument], *, now_ms: float) -> None:
        """Learn of products as the catalogue holds them; what is new no more is forgotten in time."""
        with self._lock:
            for one in documents:
                if one.traits.first_seen_ms is not None and self._new(one.traits.first_seen_ms, now_ms):
                    self._since[one.product_id] = one.traits.first_seen_ms
            if now_ms - self._tidied > _TIDIED_MS:
                self._since = {i: at for i, at in self._since.items() if self._new(at, now_ms)}
                self._tidied = now_ms

    def holds(self, product_id: str, *, now_ms: float) -> bool:
        """Say whether a product is new."""
        at = self._since.get(product_id)
        return at is not None and self._new(at, now_ms)

    def _new(self, at_ms: int, now_ms: float) -> bool:
        return 0 <= now_ms - at_ms < self._new_for_ms

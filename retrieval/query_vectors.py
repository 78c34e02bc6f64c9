"""The vectors of queries that were asked before, so that nobody encodes them again.

One object belongs to one encoder, and goes with it: vectors of two models never meet. It knows no texts, only
their digests, so its size is bounded whatever is asked.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from prometheus_client import Counter

HITS = Counter("searchloop_query_vectors_hits", "Cache hits: query texts whose vector was held.")
MISSES = Counter("searchloop_query_vectors_misses", "Query texts that had to be encoded.")

Vector = npt.NDArray[np.float32]


class QueryVectors:
    """Vectors by query text, at most ``capacity``. May be used by several threads.

    The one not asked for the longest is evicted first.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._vectors)

    def of(self, texts: Sequence[str], encode: Callable[[Sequence[str]], Vector]) -> Vector:
        """Return (n, dim) rows in the order of the texts, n > 0; ``encode`` gets each unknown text once.

        A row is the very one that ``encode`` gave for the text, now or before. What ``encode`` raises passes
        through, and nothing is remembered of its texts.
        """
        keys = [_key(text) for text in texts]
        with self._lock:
            found = {key: self._held(key) for key in keys}
        new = {key: text for key, text in zip(keys, texts, strict=True) if found[key] is None}
        HITS.inc(len(found) - len(new))
        MISSES.inc(len(new))
        if new:
            fresh = dict(zip(new, encode(list(new.values())), strict=True))
            found |= fresh
            with self._lock:
                for key, vector in fresh.items():
                    self._hold(key, vector)
        return np.stack([vector for key in keys if (vector := found[key]) is not None])

    def _held(self, key: bytes) -> Vector | None:
        if key in self._vectors:
            self._vectors.move_to_end(key)
        return self._vectors.get(key)

    def _hold(self, key: bytes, vector: Vector) -> None:
        if key in self._vectors:
            return  # another thread was first; one text keeps one vector
        self._vectors[key] = vector.copy()  # a view would keep the whole batch it is a row of
        if len(self._vectors) > self._capacity:
            self._vectors.popitem(last=False)


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

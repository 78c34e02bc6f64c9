"""The nearest products under conditions, also on traits of which the index has no column. Blocks.

The catalogue says who meets those and the index ranks. Few products are named to the index. Where many meet
them, or nearly all, the nearest are asked for, as many as probably hold enough, and then more; all that meet
are named only where even those do not.
"""

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from retrieval.catalog_traits import CatalogTraits
from retrieval.filters import in_index
from retrieval.index import IndexHit, StoreError, VectorStore
from retrieval.trait_columns import Held
from schemas.search import Filter

NAMED = 4000  # products that are named at most, unless nothing else finds them
PER_HIT = 5  # products that are named for the time of one hit more, on Lite and on a server
SPARE = 1.5  # times as many are asked for as would do if the nearest met the conditions as often as all do
WIDER = 4
MOST = 16_000  # hits that a Milvus server gives at once


def read(traits: CatalogTraits | None) -> CatalogTraits:
    """Return the traits of a catalogue that was read. Raises ``StoreError`` while it was not."""
    if traits is None or not traits.complete:
        raise StoreError("the catalogue, which holds the attributes, is still being read", retryable=True)
    return traits


def stored(traits: CatalogTraits | None, filters: Sequence[Filter], held: Held) -> list[Filter]:
    """Return the filters that the index can be asked, with their texts as the catalogue writes them.

    While it is not read they stay as they were asked. ``held``: what the collection holds of attributes.
    """
    own = [f for f in filters if in_index(f, held)]
    return traits.as_written(own) if own and traits is not None and traits.complete else own


def _beside(filters: Sequence[Filter], held: Held) -> list[Filter]:
    return [f for f in filters if not in_index(f, held)]


def begin_nearest(
    store: VectorStore,
    collection: str,
    traits: CatalogTraits | None,
    vectors: npt.NDArray[np.float32],
    k: int,
    filters: Sequence[Filter] = (),
    *,
    timeout_s: float,
) -> Callable[[], list[list[IndexHit]]]:
    """Begin ``nearest``, and return what waits for its end; if the catalogue is asked it has ended by then.

    Raises as ``nearest``, at once or in the end.
    """
    held = store.held(collection)
    if _beside(filters, held):
        found = nearest(store, collection, traits, vectors, k, filters, timeout_s=timeout_s)
        return lambda: found
    own = stored(traits, filters, held)
    return store.begin_search(collection, vectors, k, filters=own, timeout_s=timeout_s)


def nearest(
    store: VectorStore,
    collection: str,
    traits: CatalogTraits | None,
    vectors: npt.NDArray[np.float32],
    k: int,
    filters: Sequence[Filter] = (),
    *,
    timeout_s: float,
) -> list[list[IndexHit]]:
    """Return per vector at most k products that meet the filters, as ``VectorStore.search`` does.

    ``traits``: those of the catalogue. Raises ``FilterError``, and ``StoreError`` also while the catalogue is
    not read.
    """
    held = store.held(collection)
    columns, beside = stored(traits, filters, held), _beside(filters, held)
    end = time.monotonic() + timeout_s

    def search(asked: int, only: Sequence[str] | None = None) -> list[list[IndexHit]]:
        left_s = max(0.05, end - time.monotonic())
        return store.search(collection, vectors, asked, filters=columns, only=only, timeout_s=left_s)

    if not beside:
        return search(k)
    traits = read(traits)
    meeting = traits.count(filters)
    if not meeting:
        return [[] for _ in vectors]
    asked = math.ceil(SPARE * k * traits.count(columns) / meeting)
    if meeting <= min(NAMED, PER_HIT * (asked - k)):
        return search(k, traits.meeting(filters))
    while asked <= MOST:
        found = search(asked)
        there = traits.among({h.product_id for hits in found for h in hits}, beside)
        kept = [[h for h in hits if h.product_id in there][:k] for hits in found]
        if all(len(own) == k or len(hits) < asked for own, hits in zip(kept, found, strict=True)):
            return kept
        asked *= WIDER
    return search(k, traits.meeting(filters))

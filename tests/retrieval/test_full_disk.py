"""A disk that fills up under Milvus Lite while a generation is built."""

from pathlib import Path

import numpy as np
import pytest

from embedded.milvus import EmbeddedMilvus
from retrieval.index import StoreError, VectorStore, collection_name
from schemas.connections import MilvusConnection
from tests.retrieval.small_index import catalogue, fill
from tests.small_disk import fill as fill_disk
from tests.small_disk import small_disk

pytestmark = pytest.mark.broker


def test_a_build_on_a_full_disk_is_refused_what_serves_stays_whole_and_with_room_the_next_one_is_built(
    tmp_path: Path,
) -> None:
    """Lite leaves a folder of a collection that it could not create: the next generation has its own."""
    live, filled, created, after = (collection_name("full", n) for n in range(1, 5))
    rows = catalogue(1500)

    def served(store: VectorStore) -> list[str]:
        found = store.search(live, np.stack([r.vector for r in rows[:10]]), 1)
        return [hits[0].product_id for hits in found]

    with small_disk(tmp_path / "disk", 60) as disk, EmbeddedMilvus(disk / "milvus") as server:
        with VectorStore(MilvusConnection(milvus=server.address)) as store:
            fill(store, live, rows)
            store.create(filled, 16)
            ballast = fill_disk(disk)
            with pytest.raises(StoreError, match="No space left") as writing:
                store.upsert(filled, catalogue(20_000, generation=2))
            with pytest.raises(StoreError, match="No space left") as creating:
                store.create(created, 16)
            # By this the builder fails the generation, and goes on
            assert (writing.value.refused, creating.value.refused) == (True, True)
            assert served(store) == [r.product_id for r in rows[:10]]

            ballast.unlink()
            store.drop(filled)
            fill(store, after, catalogue(3000, generation=4))
        server.kill()
        server.start()
        with VectorStore(MilvusConnection(milvus=server.address)) as store:
            assert served(store) == [r.product_id for r in rows[:10]]
            assert store.ids(live) == {r.product_id for r in rows}
            assert store.count(after) == 3000

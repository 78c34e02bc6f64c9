"""Ask a collection what it holds: each row's version, and which rows are of another generation."""

from indexer.lanes import Lane
from retrieval.index import VectorStore
from retrieval.naming import stamp_of
from schemas.releases import Release

PAGE = 1000
FOREIGN = -1


async def versions_there(store: VectorStore, lane: Lane, release: Release) -> dict[str, int]:
    """Return id to version of every row.

    ``FOREIGN`` where the stamp is not the release's, so that the row counts as old.
    """
    ids = sorted(await lane(store.ids, release.collection))
    versions: dict[str, int] = {}
    for start in range(0, len(ids), PAGE):
        for row in await lane(store.rows, release.collection, ids[start : start + PAGE]):
            versions[row.product_id] = row.version if row.generation == stamp_of(release) else FOREIGN
    return versions

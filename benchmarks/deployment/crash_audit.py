"""What must be so once a crash is over.

One valid generation, state, alias and collections agreeing, searches answered by it.
"""

import uuid
from collections.abc import Mapping

from broker.reading import read_compacted
from broker.release_log import ReleaseLog
from broker.requesting import open_requester
from commands.support.asking import ask
from indexer.state import UNFINISHED, State, state_of
from retrieval.index import StoreError, VectorStore
from retrieval.naming import collection_prefix, stamp_of
from schemas.products import CatalogProduct
from schemas.releases import Release, ReleaseState
from schemas.search import SearchRequest, Status
from schemas.settings import Settings
from schemas.topics import RELEASES


async def read(settings: Settings) -> State:
    """Return the state as the topic tells it."""
    topic = await read_compacted(settings, settings.topic(RELEASES.name))
    return state_of(ReleaseLog(settings.deployment, topic.records.values()))


def unsettled(state: State, command_id: str) -> str | None:
    """Return what is still under way: the command has no outcome yet, or a build runs."""
    pointer = state.pointer
    if pointer is None:
        return "there is no pointer"
    if building := [r.generation for r in state.releases.values() if r.state in UNFINISHED]:
        return f"generations {building} are being built"
    ordered = any(r.command and r.command.command_id == command_id for r in state.releases.values())
    return None if ordered or command_id in pointer.carried_out else "the command has no effect yet"


def disagreement(
    settings: Settings, state: State, store: VectorStore, products: Mapping[str, CatalogProduct]
) -> str | None:
    """Return what does not agree between the records, Milvus and the catalogue; None when all does.

    Blocks.
    """
    pointer, prefix = state.pointer, collection_prefix(settings.topic_prefix, settings.deployment)
    assert pointer is not None
    live = state.releases[pointer.live.generation]
    if live.state != ReleaseState.RELEASED:
        return f"the live generation {live.generation} is recorded as {live.state.value}"
    try:
        if (target := store.alias_target(f"{prefix}_live")) != live.collection:
            return f"the alias names {target}, live is {live.collection}"
        there = {name for name in store.collections() if name.startswith(f"{prefix}_g")}
        held = {r.collection for r in state.holding}
        if there != held:
            return f"orphans {sorted(there - held)}, lost {sorted(held - there)}"
        return next(
            filter(None, (_wrong_rows(store, r, products) for r in (live, pointer.previous) if r)), None
        )
    except StoreError as error:
        return str(error)


def _wrong_rows(store: VectorStore, release: Release, products: Mapping[str, CatalogProduct]) -> str | None:
    ids = store.ids(release.collection)
    if ids != products.keys():
        return (
            f"generation {release.generation} misses {len(products.keys() - ids)} products and holds "
            f"{len(ids - products.keys())} too many"
        )
    rows = store.rows(release.collection, sorted(ids))
    wrong = [
        r.product_id
        for r in rows
        if r.generation != stamp_of(release) or r.version != products[r.product_id].version
    ]
    return (
        f"generation {release.generation} has {len(wrong)} rows with a wrong stamp or version, {wrong[:3]}"
        if wrong
        else None
    )


async def unanswered(settings: Settings, generation: int, probes: Mapping[str, str]) -> str | None:
    """Ask each probe (id to title) by its title.

    Return what is wrong with an answer, None when each comes from the live generation.
    """
    async with open_requester(settings, settings.topic("search-responses")) as requester:
        for product_id, title in probes.items():
            request = SearchRequest(request_id=uuid.uuid4().hex, user_query=title, k=3, timeout_ms=20_000)
            try:
                response, _ = await ask(requester, settings, request)
            except TimeoutError:
                return "a search got no answer"
            if response.status is not Status.OK:
                return f"a search ended as {response.status.value}: {response.error}"
            if response.generation != generation:
                return f"generation {response.generation} answers, live is {generation}"
            if not response.hits or response.hits[0].product_id != product_id:
                return f"{product_id} is not found by its own title"
    return None

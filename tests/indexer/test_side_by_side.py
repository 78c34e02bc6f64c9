"""Two deployments beside each other: under one prefix on one broker, and in one Milvus."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from broker.claiming import open_claims
from broker.producing import open_producer
from broker.topics import ensure_topics
from indexer.approval import Approvals
from indexer.catalog_sync import CatalogSync
from indexer.deployer import Deployer
from indexer.lanes import Lane
from indexer.ledger import Ledger
from indexer.models import Models
from indexer.running import share_of
from indexer.state import State
from retrieval.index import VectorStore
from retrieval.naming import collection_name, collection_prefix, earlier_prefix
from schemas.connections import KafkaConnection, MilvusConnection
from schemas.releases import LivePointer
from schemas.settings import IndexerSettings
from schemas.topics import RELEASES
from tests.releases import NOW, a_release
from tests.topics import read_all

pytestmark = pytest.mark.broker
Opener = Callable[[IndexerSettings], Awaitable[Ledger]]


@pytest.fixture
async def opened(kafka: str) -> AsyncIterator[Opener]:
    async with AsyncExitStack() as stack:
        producer = await stack.enter_async_context(open_producer(KafkaConnection(kafka=kafka), linger_ms=0))

        async def open_one(settings: IndexerSettings) -> Ledger:
            await ensure_topics(settings.model_copy(update={"partitions": 1, "search_partitions": 1}))
            claims = await stack.enter_async_context(
                open_claims(KafkaConnection(kafka=kafka), share=share_of(settings.deployment))
            )
            return await Ledger.open(settings, producer, claims)

        yield open_one


@pytest.fixture
def store(milvus: str) -> VectorStore:
    return VectorStore(MilvusConnection(milvus=milvus))


async def published(ledger: Ledger, deployment: str, generation: int, collection: str) -> State:
    release = a_release(generation, collection=collection)
    await ledger.recorded(release)
    await ledger.pointed(
        LivePointer(deployment=deployment, sequence=1, live=release, cause="promote", at=NOW)
    )
    return ledger.state


async def test_two_indexers_of_one_prefix_neither_fence_nor_overrule_each_other(
    kafka: str, topic_prefix: str, opened: Opener
) -> None:
    """They fenced each other for ever, under one transactional id.

    And they wrote over each other's generations.
    """
    names = ("main", "shop-b")
    settings = {
        name: IndexerSettings(kafka=kafka, topic_prefix=topic_prefix, deployment=name) for name in names
    }
    ledgers = {name: await opened(settings[name]) for name in names}
    states = {name: await published(ledgers[name], name, 1, f"{name}_g000001") for name in names}
    for name in names:
        await ledgers[name].recorded(a_release(2, collection=f"{name}_g000002"))
    records = await read_all(kafka, f"{topic_prefix}{RELEASES.name}")
    for name in names:
        assert ledgers[name].foreign(r for r in records if r.offset > ledgers[name].begins) == []
        again = await opened(settings[name])
        assert again.state.pointer == states[name].pointer
        assert [r.collection for r in again.state.releases.values()] == [f"{name}_g000001", f"{name}_g000002"]


async def test_a_start_drops_no_collection_of_another_deployment(
    kafka: str, topic_prefix: str, opened: Opener, store: VectorStore
) -> None:
    word = topic_prefix.rstrip(".")
    deployments = [(f"{word}-x.", "main"), (f"{word}.x.", "main"), (f"{word}.x.", "b")]
    live, orphans = [], []
    for prefix, name in deployments:
        settings = IndexerSettings(kafka=kafka, topic_prefix=prefix, deployment=name)
        live.append(collection_name(collection_prefix(prefix, name), 1))
        orphans.append(collection_name(collection_prefix(prefix, name), 2))
        for collection in (live[-1], orphans[-1]):
            store.create(collection, 4)
        await published(await opened(settings), name, 1, live[-1])
    for number, (prefix, name) in enumerate(deployments):
        await recovered(IndexerSettings(kafka=kafka, topic_prefix=prefix, deployment=name), opened, store)
        assert {*live, *orphans[number + 1 :]} == {
            c for c in store.collections() if c.startswith(f"{word}_x")
        }


async def test_collections_under_an_earlier_name_serve_on(
    kafka: str, topic_prefix: str, opened: Opener, store: VectorStore
) -> None:
    settings = IndexerSettings(kafka=kafka, topic_prefix=topic_prefix.replace(".", "-"))
    earlier = earlier_prefix(settings.topic_prefix, settings.deployment)
    store.create(collection_name(earlier, 1), 4)
    store.create(collection_name(earlier, 9), 4)  # of a neighbour that had the same name
    store.set_alias(f"{earlier}_live", collection_name(earlier, 1))
    await published(await opened(settings), "main", 1, collection_name(earlier, 1))
    await recovered(settings, opened, store)
    assert {c for c in store.collections() if c.startswith(earlier)} == {
        collection_name(earlier, 1),
        collection_name(earlier, 9),
    }
    assert store.alias_target(f"{collection_prefix(settings.topic_prefix, 'main')}_live") == collection_name(
        earlier, 1
    )
    assert store.alias_target(f"{earlier}_live") is None


async def recovered(settings: IndexerSettings, opened: Opener, store: VectorStore) -> None:
    async def nothing() -> Approvals:
        return Approvals()

    with Lane("serving") as lane, Lane("encoding") as encoding:
        models = Models(encoding, 1, "")
        sync = CatalogSync(store, lane, models)
        deployer = Deployer(settings, await opened(settings), store, lane, sync, nothing, models)
        await deployer.recover()

"""The indexer from start to end.

Acquire leadership, load state, recover, then build, follow the catalogue and handle commands. Read this
first: ``_serve`` is the process.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import structlog

from artefacts.located import folders_of
from broker.claiming import open_claims
from broker.consuming import SHORT_SESSION_MS, GroupConsumer, open_group
from broker.producing import open_producer
from broker.pulse import Pulse, watch_server
from broker.reading import Reader, open_reader
from broker.signing import Signing
from indexer.base_model import released_name
from indexer.build import Workshop
from indexer.builder import Builder
from indexer.catalog_sync import CatalogSync
from indexer.commands import handle_commands
from indexer.decided import Decided
from indexer.deployer import Deployer
from indexer.lanes import Lane
from indexer.ledger import Ledger
from indexer.models import Models
from indexer.watching import Watch
from process.health import Health
from process.running import until_stopped
from retrieval.document import COMPOSITION
from retrieval.index import VectorStore
from schemas.hidden import redacted
from schemas.releases import Candidate
from schemas.settings import MAIN, IndexerSettings
from schemas.topics import (
    CATALOG,
    DECISIONS,
    DEPLOYMENT_COMMANDS,
    EVENTS,
    RELEASES,
    SEARCHER_REPORTS,
    Topic,
)

log = structlog.get_logger(__name__)

TICK_S = 0.1
PRUNE_S = 1.0
FIND_S = 5.0


async def work(settings: IndexerSettings, health: Health, stopping: asyncio.Event) -> None:
    """Run until ``stopping`` is set.

    Raises on any fault of Kafka or Milvus: the supervisor starts the process again.
    """
    await until_stopped(stopping, asyncio.create_task(_serve(settings, health)))


async def _serve(settings: IndexerSettings, health: Health) -> None:
    signing = Signing.of(settings)
    async with AsyncExitStack() as stack:
        group = f"{settings.topic_prefix}indexer-{settings.deployment}"
        topics = [settings.topic(DEPLOYMENT_COMMANDS.name)]
        commands = await stack.enter_async_context(
            open_group(settings, topics, group, session_timeout_ms=SHORT_SESSION_MS, keeps=True)
        )
        await _alone(commands, health)
        producer = await stack.enter_async_context(open_producer(settings, linger_ms=0))
        own = open_claims(settings, share=share_of(settings.deployment))
        claims = await stack.enter_async_context(own)

        async def reader(topic: Topic, **how: Any) -> Reader:
            return await stack.enter_async_context(open_reader(settings, [settings.topic(topic.name)], **how))

        catalog = await reader(CATALOG, fetch_wait_ms=100)
        reports = await reader(SEARCHER_REPORTS)
        events = await reader(EVENTS, start="end")
        serving, building, encoding = (
            stack.enter_context(Lane(name)) for name in ("serving", "building", "encoding")
        )
        decisions = await reader(DECISIONS)
        health.detail = {"waiting": f"for Milvus at {redacted(settings.milvus)}"}
        store = stack.enter_context(await serving(VectorStore, settings))
        milvus = Pulse("Milvus")
        health.faults["milvus"] = milvus.fault

        models = Models(encoding, settings.torch_threads, settings.artefact_address)
        sync = CatalogSync(store, serving, models)
        ledger = await Ledger.open(settings, producer, claims)
        since = {(settings.topic(RELEASES.name), 0): ledger.begins}
        releases = await reader(RELEASES, start=since)
        decided = Decided(decisions, signing)
        deployer = Deployer(settings, ledger, store, serving, sync, decided.to_the_end, models)
        watch = Watch(settings, deployer, lambda: builder.current is not None)
        builder = Builder(Workshop(store, building, models, settings, watch.pause_s), sync, deployer)

        await _catch_up(health, catalog, sync, deployer, models)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch_server(lambda: asyncio.to_thread(store.answers), milvus))
            tasks.create_task(deployer.keep_truth(releases))
            tasks.create_task(sync.follow(catalog))
            tasks.create_task(sync.write())
            tasks.create_task(sync.erase())
            tasks.create_task(builder.run())
            tasks.create_task(_first(settings, sync, models, deployer))
            tasks.create_task(handle_commands(commands, producer, deployer, settings.deployment, signing))
            tasks.create_task(watch.listen(reports))
            tasks.create_task(watch.count(events))
            tasks.create_task(_find_again(deployer, models))
            tasks.create_task(_prune(watch, deployer, models, builder))
            tasks.create_task(_report(health, deployer, sync, builder, watch))


async def _catch_up(
    health: Health, catalog: Reader, sync: CatalogSync, deployer: Deployer, models: Models
) -> None:
    """Read the catalogue to its end, then put the collections and the pointer in the state they say."""
    health.detail = {"waiting": "for the catalogue"}
    async for record in catalog.until(await catalog.end_offsets()):
        sync.take([record])
    health.detail = {"waiting": "for the collections", "catalog": len(sync.catalog.products)}
    await deployer.recover()
    await deployer.restore(models)


def share_of(deployment: str) -> str:
    """Return which part of ``releases`` the deployment claims.

    That of ``main`` has no name, as in every version.
    """
    return "" if deployment == MAIN else deployment


async def _alone(commands: GroupConsumer, health: Health) -> None:
    """Stand by, ready, while another holds the commands.

    To take over is all that a second indexer is there for.
    """
    health.detail = {"waiting": "for the commands: another indexer may hold them"}
    while not commands.assigned():
        if commands.joined():
            health.ready, health.detail = True, {"standby": True}
        await asyncio.sleep(TICK_S)
    health.ready, health.detail = False, {}


async def _first(settings: IndexerSettings, sync: CatalogSync, models: Models, deployer: Deployer) -> None:
    """Once there are products and they have settled, build the first generation from the base model."""
    if deployer.ledger.state.pointer:
        return
    loop, settle_s = asyncio.get_running_loop(), settings.catalog_settle.total_seconds()
    await _until(lambda: bool(sync.catalog.products) and loop.time() - sync.changed_at >= settle_s)
    encoder = await models.load(settings.base_model)
    digest, folders = encoder.fingerprint, folders_of(settings)
    name = await released_name(settings.base_model, digest, folders, settings.data_dir.absolute())
    pretrained = Candidate(model=name, model_sha256=digest, dim=encoder.dim, composition=COMPOSITION)
    await deployer.order_first(pretrained)
    await _until(lambda: deployer.ledger.state.building is None)
    if deployer.ledger.state.pointer is None:
        raise RuntimeError(
            "the first generation could not be published: the reason is in its record on releases"
        )


async def _find_again(deployer: Deployer, models: Models) -> None:
    """Look for the lost model of the live generation until it is there, or another generation serves."""
    while deployer.lost is not None:
        await asyncio.sleep(FIND_S)
        if deployer.lost[0].generation != deployer.ledger.state.live:
            deployer.lost = None
        await deployer.find_again(models)


async def _prune(watch: Watch, deployer: Deployer, models: Models, builder: Builder) -> None:
    """Drop what nobody needs, once it is known what is needed."""
    await watch.informed.wait()
    while True:
        await deployer.prune(watch.reports)
        models.keep({r.model_sha256 for r in (*deployer.ledger.state.holding, builder.current) if r})
        await asyncio.sleep(PRUNE_S)


async def _report(
    health: Health, deployer: Deployer, sync: CatalogSync, builder: Builder, watch: Watch
) -> None:
    """Say what is so.

    Ready: a generation serves and follows the catalogue, or there is nothing to build one from yet.
    """
    while True:
        pointer = deployer.ledger.state.pointer
        products = len(sync.catalog.products)
        detail: dict[str, object] = {"catalog": products, "catalog_waiting": sync.waiting}
        if sync.catalog.unreadable:
            detail |= {
                "catalog_unreadable": sync.catalog.unreadable,
                "catalog_problems": sync.catalog.problems,
            }
        if sync.refused:
            detail |= {"rows_refused": list(sync.refused.values())[-5:]}
        if pointer:
            detail |= {"generation": pointer.live.generation, "sequence": pointer.sequence}
            detail |= {"paused": pointer.paused, "pinned": pointer.pinned}
            detail |= {"held": [r.generation for r in deployer.ledger.state.holding]}
        elif not products:
            detail |= {"waiting": "for products"}
        if builder.current:
            detail |= {
                "building": {"generation": builder.current.generation, "rows": builder.rows, "of": products}
            }
        if watch.blind:
            detail |= {"click_guard_blind": watch.blind}
        if deployer.lost:
            detail |= {"lost": deployer.lost[1]}
        health.detail = detail
        health.ready = (pointer is not None or not products) and deployer.lost is None
        await asyncio.sleep(TICK_S)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 conditions of several objects at once, at start-up only
        await asyncio.sleep(TICK_S)

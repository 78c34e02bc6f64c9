"""The Faust app: two agents, two tables, embedded in our own loop.

Only wiring: ``attribution`` and ``aggregation`` decide. Crash-only: a fault inside a step, or inside faust,
ends the process before anything is acknowledged, and the supervisor starts it again.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

import faust
import structlog

from broker.claiming import Claims, open_claims
from broker.client_ids import client_id
from broker.connecting import access_options
from broker.errors import BrokerError
from broker.group_lag import LagReader, open_lag_reader
from broker.producing import Producer, open_producer
from broker.safe_decoding import SKIPPED_PLACES, install
from broker.topic_identity import topic_id
from credit import shopper
from process.running import CRASHED, say_crash
from schemas.settings import StreamSettings
from schemas.stream_groups import learn_group
from schemas.topics import CONTRIBUTIONS, EVENTS, PAIRS, SHOPPERS, Topic
from stream import aggregation
from stream.agent_steps import AggregateStep, AttributeStep
from stream.contiguity import Contiguity
from stream.dropping import Committed, Place
from stream.epochs import Epochs
from stream.holders import Names
from stream.recovery import FencedTable, SafeTableManager, committed, crash_of, recovered
from stream.restoring import Restoring

log = structlog.get_logger(__name__)

STOP_TIMEOUT_S = 20.0
ANSWER_S = 90.0
Step = Callable[[Sequence[Any]], Awaitable[None]]


async def learn(settings: StreamSettings, health: Callable[[bool], None]) -> None:
    """Run both agents until cancelled.

    ``health`` hears whether the tables are recovered. Never returns by itself.
    """
    async with (
        open_producer(settings, linger_ms=5, role="learn") as producer,
        open_claims(settings, role="tables") as claims,
        open_lag_reader(settings) as lags,
        _running(settings, producer, claims, partial(_committed_of, lags, settings)) as app,
    ):
        while True:
            if (reason := crash_of(app)) is not None:
                die(reason, settings)
            health(recovered(app))
            await asyncio.sleep(0.2)


async def _committed_of(lags: LagReader, settings: StreamSettings) -> Mapping[Place, int]:
    try:
        return await lags.committed(learn_group(settings))
    except BrokerError:
        return {}


def build_app(settings: StreamSettings, producer: Producer, claims: Claims, everywhere: Committed) -> Any:
    """Return the app with its topics, tables and agents declared. To be called in the running loop.

    ``everywhere``: what the group has committed, of the partitions of other workers too.
    """
    # Faust's services log under the module of their class
    logging.getLogger("stream.recovery").setLevel(logging.WARNING)
    install()  # faust reads with aiokafka's fetcher
    session_s = settings.session(timedelta(seconds=settings.broker_session_timeout_s)).total_seconds()
    app = faust.App(
        learn_group(settings),
        broker=";".join(f"kafka://{address.strip()}" for address in settings.kafka.split(",")),
        broker_client_id=client_id(settings.kafka_client_id),
        broker_credentials=_credentials(settings),
        datadir=str(settings.data_dir / "faust"),
        store="memory://",
        key_serializer="raw",
        value_serializer="raw",
        TableManager=SafeTableManager,
        web_enabled=False,
        topic_partitions=settings.partitions,
        topic_allow_declare=False,  # broker.topics has made them
        topic_disable_leader=True,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",  # 'latest' can hang recovery, and loses on a first start
        consumer_group_instance_id=settings.kafka_member or None,
        broker_session_timeout=session_s,
        broker_request_timeout=max(ANSWER_S, session_s),  # faust refuses less
        broker_heartbeat_interval=settings.broker_session_timeout_s / 4,
        broker_rebalance_timeout=30.0,
        broker_commit_interval=1.0,
        broker_max_poll_records=500,
        stream_buffer_maxsize=1024,
        stream_wait_empty=True,
        producer_acks=-1,
        producer_linger=0.02,
        producer_request_timeout=settings.kafka_write_timeout.total_seconds(),
    )
    contiguity = Contiguity(SKIPPED_PLACES)
    app.tables.begin_at = contiguity.begin_at
    epochs = Epochs(partial(topic_id, settings, settings.topic(EVENTS.name)), settings.topic(SHOPPERS.name))
    app.tables.restoring = Restoring(settings, claims, epochs)
    shoppers = _table(
        app, SHOPPERS, shopper.is_readable, shopper.supersedes, shopper.names_in, settings, claims
    )
    pairs = _table(
        app, PAIRS, aggregation.is_readable, aggregation.supersedes, aggregation.clients_in, settings, claims
    )
    steps: dict[str, Step] = {
        EVENTS.name: AttributeStep(
            shoppers,
            producer,
            settings,
            contiguity,
            partial(committed, app, settings.topic(EVENTS.name)),
            epochs,
        ),
        CONTRIBUTIONS.name: AggregateStep(pairs, settings, contiguity, everywhere),
    }
    for name, step in steps.items():
        topic = app.topic(settings.topic(name), key_type=bytes, value_type=bytes)
        app.agent(topic, name=f"{settings.topic_prefix}{name}")(_agent(step, settings))
    return app


def _credentials(settings: StreamSettings) -> Any:
    """Return what Faust's driver gives to aiokafka: user and password, a token, TLS alone, or None."""
    access = access_options(settings)
    tls = access.get("ssl_context")
    if provider := access.get("sasl_oauth_token_provider"):
        return faust.OAuthCredentials(oauth_cb=provider, ssl_context=tls)
    if settings.uses_sasl:
        return faust.SASLCredentials(
            username=access["sasl_plain_username"],
            password=access["sasl_plain_password"],
            mechanism=settings.kafka_mechanism,
            ssl_context=tls,
        )
    return faust.SSLCredentials(tls) if tls is not None else None


def _table(
    app: Any,
    changelog: Topic,
    readable: Callable[[bytes], bool],
    supersedes: Callable[[bytes, bytes], bool],
    names: Names,
    settings: StreamSettings,
    claims: Claims,
) -> FencedTable:
    topic = app.topic(
        settings.topic(changelog.name),
        key_type=bytes,
        value_type=bytes,
        partitions=settings.partitions,
        compacting=True,
    )
    table = FencedTable(
        app,
        name=changelog.name,
        key_type=bytes,
        value_type=bytes,
        partitions=settings.partitions,
        changelog_topic=topic,
        readable=readable,
        supersedes=supersedes,
        claims=claims,
        names=names,
    )
    app.tables.add(table)
    return table


def _agent(step: Step, settings: StreamSettings) -> Callable[[Any], Awaitable[None]]:
    async def agent(stream: Any) -> None:
        async for batch in stream.take_events(settings.take_records, within=settings.take_within_s):
            await _finish(step, batch, settings)

    return agent


async def _finish(step: Step, batch: Sequence[Any], settings: StreamSettings) -> None:
    """Run a step to its end, whatever happens.

    Leaving the loop's body by an exception would acknowledge the batch.
    """
    running = asyncio.ensure_future(step(batch))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        try:
            await running
        except BaseException as error:
            die(error, settings)
        raise
    except BaseException as error:
        die(error, settings)


def die(error: BaseException, settings: StreamSettings) -> NoReturn:
    """End the process at once, without the clean-up that would commit offsets."""
    say_crash(error, "stream", settings)
    logging.shutdown()
    os._exit(CRASHED)


@asynccontextmanager
async def _running(
    settings: StreamSettings, producer: Producer, claims: Claims, everywhere: Committed
) -> AsyncIterator[Any]:
    app = build_app(settings, producer, claims, everywhere)
    app.finalize()
    starting = asyncio.ensure_future(app.start())
    try:
        await asyncio.shield(starting)
        yield app
    finally:
        # Half started faust cannot be stopped, and its threads would keep the process from ending.
        await asyncio.wait({starting}, timeout=STOP_TIMEOUT_S)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await app.stop()
        except TimeoutError as error:
            die(error, settings)

"""Run a process from start to end: settings, logs, topics, health pages, the work, an ordered stop.

Crash-only: an infrastructure fault ends the process with exit code 70, and whoever supervises it starts it
again.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import structlog

from artefacts.located import folders_of, use_store
from broker.client_ids import name_process
from broker.denials import missing_right
from broker.errors import AccessError
from broker.pulse import Pulse, watch_brokers
from broker.skipping import obey_skips
from broker.topic_settings import told_wrong
from broker.topics import TopicMismatchError, ensure_topics
from process.collector import with_collector
from process.health import Health, serve_health
from process.logs import configure_logs
from schemas.rights import rights_of, topics_of
from schemas.settings import Settings, SettingsError
from schemas.topics import Topic

log = structlog.get_logger(__name__)

S = TypeVar("S", bound=Settings)
CRASHED = 70
MISUSED = 2


def run_process(
    name: str, kind: type[S], work: Callable[[S, Health, asyncio.Event], Awaitable[None]]
) -> None:
    """Run ``work(settings, health, stopping)`` until it returns; SIGTERM and SIGINT set ``stopping``.

    Never returns.
    """
    try:
        settings = with_collector(kind.load(os.environ), os.environ)
        use_store(folders_of(settings))
    except SettingsError as error:
        sys.stderr.write(f"{name}: {error}\n")
        raise SystemExit(MISUSED) from error
    name_process(name)
    configure_logs(settings.log_level, json_lines=settings.log_json)
    structlog.contextvars.bind_contextvars(process=name)
    raise SystemExit(asyncio.run(_main(name, settings, work)))


async def _main(name: str, settings: S, work: Callable[[S, Health, asyncio.Event], Awaitable[None]]) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    pulse = Pulse()
    health = Health(faults={"kafka": pulse.fault})
    watching = asyncio.create_task(watch_brokers(settings, pulse))
    try:
        async with serve_health(name, settings, health):
            preparing = asyncio.create_task(_prepare(settings, topics_of(name)))
            await until_stopped(stopping, preparing)
            if not stopping.is_set():
                await work(preparing.result(), health, stopping)
    except (TopicMismatchError, SettingsError, AccessError) as error:
        log.critical("refused to start", reason=str(error))
        return MISUSED
    except Exception as error:  # the one outermost handler: say why, then let the supervisor restart us
        say_crash(error, name, settings)
        return CRASHED
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    log.info("stopped")
    return 0


def say_crash(error: BaseException, name: str, settings: Settings) -> None:
    """Log what ends a process: a right that is missing in one sentence, all else with its traceback."""
    reason = missing_right(error, settings, rights_of(name, settings))
    if reason is None:
        log.error("crashed", exc_info=error)
    else:
        log.critical("refused by Kafka", reason=reason)


async def _prepare(settings: S, topics: Sequence[Topic]) -> S:
    fitting = await ensure_topics(settings, topics)
    await obey_skips(fitting)
    for problem in await told_wrong(fitting, topics):
        log.warning("topic configuration differs", problem=problem)
    return fitting


async def until_stopped(stopping: asyncio.Event, *tasks: asyncio.Task[Any]) -> None:
    """Wait until ``stopping`` is set or a task ends; then cancel the tasks. A task's exception is raised."""
    waiter = asyncio.create_task(stopping.wait())
    await asyncio.wait({waiter, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in (waiter, *tasks):
        task.cancel()
    # Every task has cleaned up before one of them is blamed
    await asyncio.gather(waiter, *tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()

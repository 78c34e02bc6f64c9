"""The trainer's process.

Claim the triggers' partition, resume unfinished runs, then consume, run and schedule side by side. Only the
member of the group that holds the partition acts; another trainer stands by and takes over with what
``training-runs`` says.
"""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

import structlog

from broker.consuming import GroupConsumer, open_group
from broker.guarding import judged
from broker.producing import Producer, open_producer
from broker.reading import read_compacted
from broker.records import Outgoing, Record
from process.health import Health
from process.running import until_stopped
from schemas.rejections import Rejection
from schemas.settings import TrainerSettings
from schemas.topics import TRAINING_RUNS, TRAINING_TRIGGERS
from schemas.training import TrainingRun, Trigger
from trainer.run.jobs import KubernetesJobs
from trainer.run.kubernetes_api import KubernetesApi
from trainer.run.launcher import Launcher
from trainer.run.local_processes import LocalProcesses
from trainer.run.triggers import is_run_id
from trainer.service.fast_lane import FastLane
from trainer.service.history import History
from trainer.service.scheduler import crontab, keep_time
from trainer.service.volume import watch_volume
from trainer.service.worker import Worker

log = structlog.get_logger(__name__)

RUN, REFRESH = "trainer.retrain", "trainer.refresh"  # the modules of their processes


class TriggersTakenError(RuntimeError):
    """Another trainer holds the triggers now."""


async def serve(settings: TrainerSettings, health: Health, stopping: asyncio.Event) -> None:
    """Train on triggers until stopped. A run in progress is stopped with us and goes on at the next start."""
    if settings.cron:
        crontab(settings.cron)  # a line that is none is said before anything is begun
    launcher = await _launcher(settings)
    async with (
        open_producer(settings, codec="gzip") as producer,
        open_group(
            settings,
            [settings.topic(TRAINING_TRIGGERS.name)],
            f"{settings.topic_prefix}trainer",
            keeps=True,
        ) as triggers,
    ):
        await until_stopped(
            stopping, asyncio.create_task(_act(settings, health, triggers, producer, launcher))
        )


async def _launcher(settings: TrainerSettings) -> Launcher:
    """Return what carries out runs. Raises ``SettingsError`` for Jobs that could not be made."""
    if not settings.job_template:
        return LocalProcesses(RUN, os.environ)
    api = KubernetesApi(settings.job_api, Path(settings.job_account))
    jobs = KubernetesJobs(RUN, Path(settings.job_template), api)
    await jobs.check()
    return jobs


async def _act(
    settings: TrainerSettings,
    health: Health,
    triggers: GroupConsumer,
    producer: Producer,
    launcher: Launcher,
) -> None:
    first: list[Record] = []
    while not triggers.assigned():
        if triggers.joined():
            # It does all that a second trainer is there for
            health.ready, health.detail = True, {"standby": True}
        first += await triggers.batch(timeout_ms=200, max_records=100)
    health.ready, health.detail = False, {}
    history = History(
        _runs((await read_compacted(settings, settings.topic(TRAINING_RUNS.name))).records.values())
    )
    worker = Worker(settings, producer, history, launcher)
    await worker.recover()
    lane = FastLane(settings, worker, LocalProcesses(REFRESH, os.environ))

    async def write(trigger: Trigger) -> None:
        await producer.send(
            Outgoing(
                settings.topic(TRAINING_TRIGGERS.name), trigger.to_json(), key=settings.deployment.encode()
            ),
        )

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.work())
        tasks.create_task(lane.work())
        tasks.create_task(_consume(triggers, worker, lane, first, health))
        if settings.cron:
            tasks.create_task(keep_time(settings, write, catch_up=len(history) > 0))
        if settings.volume_pairs:
            tasks.create_task(watch_volume(settings, producer))
        health.ready = True


async def _consume(
    triggers: GroupConsumer, worker: Worker, lane: FastLane, records: list[Record], health: Health
) -> None:
    """Hand triggers over in order.

    Each is dealt with for good before it is committed, so fetching goes on and the group keeps us.
    """
    while True:
        await worker.accept(records)
        await triggers.commit(records)
        waiting = [request.run_id for request in worker.waiting]
        health.detail = {
            "run": worker.current,
            "waiting": waiting[0] if waiting else None,
            "queued": len(waiting),
            "refresh": lane.current,
        }
        records = await triggers.batch(timeout_ms=200, max_records=100)
        if not triggers.assigned():
            raise TriggersTakenError("another trainer took over the triggers: only one may run")


def _runs(records: Iterable[Record]) -> list[TrainingRun]:
    """Return the runs that can be read.

    One that is called as no run is called was not written by a trainer.
    """
    runs = []
    for record in records:
        run = judged(lambda r: TrainingRun.from_json(r.value or b""), record)
        if isinstance(run, Rejection) or not is_run_id(run.run_id):
            log.warning("unreadable record of training-runs skipped", offset=record.offset)
        else:
            runs.append(run)
    return runs

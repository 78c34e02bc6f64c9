"""Runs as Jobs of Kubernetes: one Job a run, found by its name, so that no two carry out one run.

A Job is one attempt: how often a run may be tried again is the trainer's to say. A pod that a drained node,
an eviction or a more important pod takes is no attempt: Kubernetes starts another, which goes on from the
folder. It lies on a volume that the trainer and the Job share.
"""

import asyncio
import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from schemas.settings import SettingsError, TrainerSettings
from trainer.run.folder import RunFolder
from trainer.run.job_status import Kind, ended_as, why_ended, why_waiting
from trainer.run.kubernetes_api import EVENTS, JOBS, PODS, KubernetesApi
from trainer.run.launcher import LaunchError, RunStatus
from trainer.run.processes import command, few_threads

log = structlog.get_logger(__name__)

RUN = "searchloop/run"  # the label of what belongs to a run
INSTANCE = "app.kubernetes.io/instance"
RIGHTS = (("create", JOBS), ("get", JOBS), ("delete", JOBS), ("list", PODS), ("list", EVENTS))
NAME_BYTES = 63 - len("-20260131-120000-1a2b3c4d")  # a Job's name is a label of its pod
LOOK_S = 2.0
GONE_S = 90.0  # a pod has a second to end; its node may take longer to say so
SEEN_S = 60.0  # so long a shared folder may take to show what was written elsewhere
SLACK = timedelta(hours=2)


class KubernetesJobs:
    """The launcher of a cluster. ``module`` carries a run out, given its folder.

    ``template``: a file with the Job of all runs as JSON; what differs is filled in. Read for each run.
    """

    outlives = True

    def __init__(self, module: str, template: Path, api: KubernetesApi) -> None:
        self._module, self._template, self._api = module, template, api
        self._fault = ""

    async def check(self) -> None:
        """Raise ``SettingsError`` when no run could be started: no template, or a right that is missing."""
        name_prefix(read_template(self._template))
        try:
            missing = [f"{verb} {kind[1]}" for verb, kind in RIGHTS if not await self._api.may(verb, kind)]
        except LaunchError as error:
            if not error.passes:
                raise SettingsError(str(error)) from None
            log.warning("whether runs can be started is not known yet", reason=str(error))
            return
        if missing:
            raise SettingsError(
                f"the service account of the trainer may not {', '.join(missing)} in the namespace "
                f"{self._api.namespace}: runs cannot be started as Jobs"
            )

    async def start(self, run: RunFolder, settings: TrainerSettings) -> None:
        """Create the Job; one that goes on already is taken up, one that has ended makes room."""
        try:
            job = job_of(read_template(self._template), run, self._module, settings)
        except SettingsError as error:
            raise LaunchError(str(error), passes=False) from None
        name = job["metadata"]["name"]
        for _ in range(2):
            if await self._api.create(JOBS, job):
                log.info("Job created", job=name)
                return
            found = await self._api.get(JOBS, name)
            if found is None:
                continue
            if _labels(found).get(INSTANCE) != _labels(job).get(INSTANCE):
                raise LaunchError(
                    f"there is a Job {name} already, and it is not of this release", passes=False
                )
            if ended_as(found) is None and not found["metadata"].get("deletionTimestamp"):
                log.info("Job taken up", job=name)
                return
            await self._remove(name)
        raise LaunchError(f"the Job {name} of an earlier attempt is still being removed", passes=True)

    async def look(self, run: RunFolder, *, within_s: float) -> RunStatus:
        """Return how the Job is. While the API does not say, it is unseen until its folder says else."""
        await asyncio.sleep(max(within_s, LOOK_S) if within_s else 0)
        try:
            return await self._seen(run, self._name(run))
        except (LaunchError, SettingsError) as error:
            if str(error) != self._fault:
                self._fault = str(error)
                log.warning("how the run is cannot be seen now", reason=self._fault, run=run.path.name)
            return RunStatus("unseen", why=str(error)) if run.outcome() is None else RunStatus("ended")

    async def _seen(self, run: RunFolder, name: str) -> RunStatus:
        job = await self._api.get(JOBS, name)
        if job is None:
            return RunStatus("gone", why="its Job was deleted")
        ended = ended_as(job)
        if ended == 0:
            return RunStatus("running" if _unseen(run, job, datetime.now(UTC)) else "ended")
        if ended is None and (job.get("status") or {}).get("ready"):
            return RunStatus("running")
        pods = await self._api.find(PODS, labelSelector=f"batch.kubernetes.io/job-name={name}")
        if ended is not None:
            return RunStatus("ended", *why_ended(job, pods))
        events = [] if pods else await self._events(name)
        return RunStatus("waiting", why=why_waiting(job, pods, events))

    async def stop(self, run: RunFolder) -> None:
        """Remove the Job and wait until its pod has ended. One that has ended stays, for its logs.

        Where the API does not let us, the run ends by itself once its folder has an outcome.
        """
        try:
            job = await self._api.get(JOBS, self._name(run))
            if job is not None and ended_as(job) is None:
                await self._remove(self._name(run))
        except (LaunchError, SettingsError) as error:
            log.warning("the Job of a run could not be removed", reason=str(error), run=run.path.name)

    async def _remove(self, name: str) -> None:
        await self._api.delete(JOBS, name)
        end = asyncio.get_running_loop().time() + GONE_S
        while await self._api.get(JOBS, name) is not None:
            if asyncio.get_running_loop().time() > end:
                raise LaunchError(f"the Job {name} is deleted, and its pod has not ended", passes=True)
            await asyncio.sleep(0.5)

    async def _events(self, name: str) -> list[dict[str, Any]]:
        chosen = f"involvedObject.kind=Job,involvedObject.name={name},reason=FailedCreate"
        return await self._api.find(EVENTS, fieldSelector=chosen)

    def _name(self, run: RunFolder) -> str:
        return f"{name_prefix(read_template(self._template))}-{run.path.name}"


def read_template(path: Path) -> dict[str, Any]:
    """Return the Job that the file describes. Raises ``SettingsError``."""
    try:
        job = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"job_template: {path} is no JSON file of a Job: {error}") from None
    if not isinstance(job, dict) or job.get("kind") != "Job" or job.get("apiVersion") != "batch/v1":
        raise SettingsError(f"job_template: {path} holds no Job of batch/v1")
    return job


def name_prefix(template: Kind) -> str:
    """Return what names of Jobs begin with. Raises ``SettingsError`` where it leaves no room for an id."""
    prefix = str((template.get("metadata") or {}).get("name") or "")
    if not 0 < len(prefix) <= NAME_BYTES:
        raise SettingsError(
            f"job_template: metadata.name has 1 to {NAME_BYTES} characters, not {len(prefix)}"
        )
    return prefix


def job_of(template: Kind, run: RunFolder, module: str, settings: TrainerSettings) -> dict[str, Any]:
    """Return the Job of one run: its name, its labels, its command and threads, and its last moment.

    The trainer ends what is too slow. The deadline is for a Job that no trainer follows any more.
    """
    job = copy.deepcopy(dict(template))
    job["metadata"]["name"] = f"{name_prefix(template)}-{run.path.name}"
    try:
        spec = job["spec"]
        pod = spec["template"]
        (container,) = pod["spec"]["containers"]
    except (KeyError, TypeError, ValueError):
        raise SettingsError("job_template: spec.template.spec.containers is to hold one container") from None
    for one in (job, pod):
        labels = one.setdefault("metadata", {}).setdefault("labels", {})
        labels[RUN] = run.path.name
    longest = settings.job_start_timeout + timedelta(minutes=settings.max_minutes) + settings.deploy_timeout
    spec["activeDeadlineSeconds"] = int((longest + SLACK).total_seconds())
    container["command"] = command(module, run.path)
    container["env"] = [
        *container.get("env", []),
        *({"name": name, "value": value} for name, value in few_threads(settings.torch_threads).items()),
    ]
    return job


def _unseen(run: RunFolder, job: Kind, now: datetime) -> bool:
    """Say whether a Job is complete whose outcome our view of the shared folder does not show yet."""
    at = (job.get("status") or {}).get("completionTime")
    if run.outcome() is not None or not at:
        return False
    return now - datetime.fromisoformat(at) < timedelta(seconds=SEEN_S)


def _labels(job: Kind) -> Mapping[str, str]:
    return job["metadata"].get("labels") or {}

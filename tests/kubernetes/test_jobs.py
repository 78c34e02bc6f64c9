"""Runs as Jobs, on a small server that answers as Kubernetes' API does, and on its own where that is."""

import asyncio
import json
import shutil
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from embedded.ports import free_port
from schemas.settings import SettingsError, TrainerSettings
from schemas.training import RunState
from tests.chart.rendering import job_template
from tests.kubernetes.cluster import COMPLETE, RUNNING, Cluster, no_right
from tests.kubernetes.conftest import needs_server
from tests.kubernetes.real_server import path_of
from tests.waiting import until
from trainer.run.folder import RunFolder, RunOutcome, RunProgress
from trainer.run.jobs import KubernetesJobs, job_of
from trainer.run.kubernetes_api import KubernetesApi
from trainer.run.launcher import LaunchError, RunStatus
from trainer.service import execution
from trainer.service.execution import execute

RUN = "20260131-120000-1a2b3c4d"
NAME = f"shop-searchloop-run-{RUN}"
DEPLOYED = RunOutcome(state=RunState.DEPLOYED, generation=2)
SETTINGS = TrainerSettings(max_minutes=60)
FAILED = {
    "startTime": "2026-01-31T12:00:00Z",
    "active": 0,
    "ready": 0,
    "failed": 1,
    "conditions": [
        {"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded"},
        {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "it has failed"},
    ],
}
CONTAINER = {"name": "run", "image": "", "imageID": "", "ready": False, "restartCount": 0}


@pytest.fixture
def jobs(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KubernetesJobs:
    monkeypatch.setattr("trainer.run.jobs.LOOK_S", 0.05)
    return KubernetesJobs(
        "trainer.retrain", template_in(tmp_path), KubernetesApi(cluster.address, cluster.account)
    )


def template_in(folder: Path) -> Path:
    path = folder / "job.json"
    path.write_text(json.dumps(job_template("jobs")))
    return path


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder.of(tmp_path, RUN)
    folder.path.mkdir(parents=True)
    return folder


async def the_job(cluster: Cluster) -> dict[str, Any]:
    """Return the one Job that there is, once there is one."""
    (job,) = await until(cluster.jobs, "a Job was made")
    return job


async def looks(jobs: KubernetesJobs, run: RunFolder) -> RunStatus:
    return await jobs.look(run, within_s=0.05)


class Told:
    """What is told of a run, and the work on it."""

    work: asyncio.Task[RunOutcome]

    def __init__(self) -> None:
        self.details: list[str] = []

    async def tell(self, progress: RunProgress) -> None:
        self.details.append(progress.detail)


async def carried_out(run: RunFolder, jobs: KubernetesJobs, settings: TrainerSettings = SETTINGS) -> Told:
    """Begin to carry a run out."""
    told = Told()
    told.work = asyncio.create_task(execute(run, settings, told.tell, jobs))
    return told


async def test_a_run_is_one_job_and_its_outcome_is_what_its_folder_says(
    cluster: Cluster, jobs: KubernetesJobs, run: RunFolder
) -> None:
    await jobs.check()
    told = await carried_out(run, jobs)
    job = await the_job(cluster)
    assert job["metadata"]["name"] == NAME
    assert job["spec"]["template"]["spec"]["containers"][0]["command"][-3:] == [
        "-m",
        "trainer.retrain",
        str(run.path),
    ]
    await cluster.job_is(NAME, RUNNING)
    run.report(RunState.TRAINING, 0.3, "step 3")
    await until(lambda: "step 3" in told.details, "its progress is told")
    run.commit("outcome", DEPLOYED)
    await cluster.job_is(NAME, COMPLETE)
    assert await told.work == DEPLOYED
    assert [one["metadata"]["name"] for one in await cluster.jobs()] == [NAME], "it stays, for its logs"


async def test_a_trainer_that_was_killed_finds_the_run_again_and_no_second_job_is_made(
    cluster: Cluster, jobs: KubernetesJobs, run: RunFolder, tmp_path: Path
) -> None:
    first = await carried_out(run, jobs)
    job = await the_job(cluster)
    await cluster.job_is(NAME, RUNNING)
    attempts = (run.path / "attempts").read_text()
    first.work.cancel()
    with suppress(asyncio.CancelledError):
        await first.work
    other = KubernetesJobs(
        "trainer.retrain", template_in(tmp_path), KubernetesApi(cluster.address, cluster.account)
    )
    await other.start(run, SETTINGS)  # as where the answer of the API was lost with the first trainer
    second = await carried_out(run, other)
    run.report(RunState.TRAINING, 0.3, "goes on")
    await until(lambda: "goes on" in second.details, "the run is followed again")
    assert [one["metadata"].get("uid") for one in await cluster.jobs()] == [job["metadata"].get("uid")]
    assert (run.path / "attempts").read_text() == attempts
    run.commit("outcome", DEPLOYED)
    await cluster.job_is(NAME, COMPLETE)
    assert await second.work == DEPLOYED


async def test_a_cancelled_run_has_no_job_any_more(
    cluster: Cluster, jobs: KubernetesJobs, run: RunFolder
) -> None:
    told = await carried_out(run, jobs)
    await the_job(cluster)
    await cluster.job_is(NAME, RUNNING)
    run.commit("outcome", RunOutcome(state=RunState.CANCELLED))
    told.work.cancel()
    await until(cluster.collect, "the Job is deleted")
    with suppress(asyncio.CancelledError):
        await told.work
    assert await cluster.jobs() == []
    assert (await looks(jobs, run)).state == "gone"


async def test_a_run_that_ended_while_no_trainer_looked_keeps_its_job_unless_that_has_not_begun(
    cluster: Cluster, jobs: KubernetesJobs, run: RunFolder
) -> None:
    await jobs.start(run, SETTINGS)
    await cluster.job_is(NAME, RUNNING)
    run.commit("outcome", DEPLOYED)
    told = await carried_out(run, jobs)
    assert await told.work == DEPLOYED
    assert not any(one["metadata"].get("deletionTimestamp") for one in await cluster.jobs())
    await cluster.job_is(NAME, {"active": 1, "ready": 0})
    told = await carried_out(run, jobs)
    await until(cluster.collect, "the Job that waits is deleted")
    assert await told.work == DEPLOYED


async def test_a_job_that_fails_is_made_again_and_after_three_the_run_says_why(
    cluster: Cluster, jobs: KubernetesJobs, run: RunFolder
) -> None:
    told = await carried_out(run, jobs)
    job = await the_job(cluster)
    ended = {**CONTAINER, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    await cluster.pod_is(job, {"phase": "Failed", "containerStatuses": [ended]})
    for attempt in range(1, 4):
        assert len((run.path / "attempts").read_text().split()) == attempt
        await cluster.job_is(NAME, FAILED)
        if attempt < 3:
            await until(cluster.collect, "the Job that failed makes room")
            await the_job(cluster)
    outcome = await told.work
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.retryable) == ("process_died", True)
    assert outcome.detail == "the run's process died 3 times: exit code 137, OOMKilled"


async def test_a_job_that_somebody_deleted_is_an_attempt(
    cluster: Cluster, jobs: KubernetesJobs, run: RunFolder
) -> None:
    await jobs.start(run, SETTINGS)
    await cluster.clear()
    assert await looks(jobs, run) == RunStatus("gone", why="its Job was deleted")


NO_NODE = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
LOW = "The node was low on resource: memory."
UNPLACED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_NODE}
EVICTED = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": LOW}
BACK_OFF = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
WAITS = [
    ({"phase": "Pending", "conditions": [UNPLACED]}, f"no node takes its pod: {NO_NODE}"),
    (
        {"phase": "Pending", "containerStatuses": [{**CONTAINER, "state": BACK_OFF}]},
        "the image searchloop-train:0.1.0 cannot be pulled: Back-off pulling image",
    ),
    (
        {"phase": "Failed", "reason": "Evicted", "conditions": [EVICTED]},
        f"its pod was taken away, and another one is to go on: {LOW}",
    ),
]


@pytest.mark.parametrize(("pod", "why"), WAITS, ids=["node", "image", "eviction"])
async def test_a_run_that_waits_says_in_one_sentence_for_what(
    cluster: Cluster, jobs: KubernetesJobs, run: RunFolder, pod: dict[str, Any], why: str
) -> None:
    await jobs.start(run, SETTINGS)
    assert await looks(jobs, run) == RunStatus("waiting", why="its pod is being made")
    (job,) = await cluster.jobs()
    await cluster.pod_is(job, pod)
    assert await looks(jobs, run) == RunStatus("waiting", why=why)


async def test_a_run_whose_pod_a_quota_refuses_says_so_and_fails_after_its_time(
    cluster: Cluster, jobs: KubernetesJobs, run: RunFolder
) -> None:
    soon = SETTINGS.model_copy(update={"job_start_timeout": timedelta(seconds=1)})
    await cluster.pod_was_refused(NAME, 'pods "x" is forbidden: exceeded quota: gpus')
    told = await carried_out(run, jobs, soon)
    await the_job(cluster)
    await until(cluster.collect, "the Job is deleted")
    outcome = await told.work
    assert outcome.detail.endswith('no pod can be made: pods "x" is forbidden: exceeded quota: gpus')
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.retryable) == ("not_started", True)


@needs_server
@pytest.mark.slow
async def test_a_quota_that_is_used_up_is_waited_for(
    real: Cluster, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "RETRY_S", 0.2)
    jobs = KubernetesJobs("trainer.retrain", template_in(tmp_path), KubernetesApi(real.address, real.account))
    job = job_of(job_template("jobs"), run, "trainer.retrain", SETTINGS)

    async def holds() -> bool:
        status, _, _ = await real.call("POST", f"{path_of(job)}?dryRun=All", job)
        return status == 403

    await real.bound("count/jobs.batch", "0")
    try:
        await until(holds, "the server has seen the quota")
        told = await carried_out(run, jobs)
        await until(lambda: told.details, "it is told what the run waits for")
        assert "exceeded quota: bound" in told.details[0]
        assert await real.jobs() == []
    finally:
        await real.unbound()
    await until(real.jobs, "the Job was made after all")
    told.work.cancel()
    with suppress(asyncio.CancelledError):
        await told.work
    await real.clear()


async def test_a_missing_right_is_one_sentence_at_the_start_and_where_it_is_needed(
    cluster: Cluster, jobs: KubernetesJobs, run: RunFolder
) -> None:
    async with no_right(cluster, "create"):
        await refused_sooner_or_later(jobs)
        with pytest.raises(LaunchError) as found:
            await jobs.start(run, SETTINGS)
        said = str(found.value)
        assert 'cannot create resource "jobs" in API group "batch" in the namespace "search"' in said
        assert "shop-searchloop-trainer" in said
        assert "\n" not in said
        told = await carried_out(run, jobs)
        assert (await told.work).detail == said
    await until(lambda: allowed(jobs), "the right is given back")


async def refused_sooner_or_later(jobs: KubernetesJobs) -> None:
    """Wait until the server has followed the change of a role."""
    expected = "the service account of the trainer may not create jobs in the namespace search: "
    await until(lambda: says(jobs, expected), "the right is missing")


async def says(jobs: KubernetesJobs, expected: str) -> bool:
    try:
        await jobs.check()
    except SettingsError as error:
        return str(error).startswith(expected)
    return False


async def allowed(jobs: KubernetesJobs) -> bool:
    return not await says(jobs, "")


async def test_an_api_that_is_away_holds_a_start_up_and_ends_no_run(
    cluster: Cluster, jobs: KubernetesJobs, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "RETRY_S", 0.05)
    away = KubernetesApi(f"https://127.0.0.1:{free_port()}", cluster.account)
    gone = KubernetesJobs("trainer.retrain", template_in(tmp_path), away)
    await gone.check()  # it is not known yet
    with pytest.raises(LaunchError, match=r"^Kubernetes' API at https://127\.0\.0\.1:\d+ does not answer: "):
        await gone.start(run, SETTINGS)
    seen = await looks(gone, run)
    assert (seen.state, seen.why[:20]) == ("unseen", "Kubernetes' API at h")
    soon = SETTINGS.model_copy(update={"job_start_timeout": timedelta(seconds=1)})
    told = await carried_out(run, gone, soon)
    outcome = await told.work
    assert outcome.error is not None
    assert outcome.error.code == "not_started"
    assert told.details == [outcome.detail], "what it waits for"
    (run.path / "outcome.json").unlink()
    run.commit("outcome", DEPLOYED)
    assert await looks(gone, run) == RunStatus("ended")
    await gone.stop(run)


@pytest.mark.parametrize("wrong", ["token", "ca.crt", "namespace"])
async def test_a_faulty_account_is_one_sentence_and_no_token_is_ever_said(
    cluster: Cluster, run: RunFolder, tmp_path: Path, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    account = tmp_path / "account-of-a-test"
    shutil.copytree(cluster.account, account)
    token = (account / "token").read_text()
    (account / wrong).unlink()
    faulty = KubernetesJobs("trainer.retrain", template_in(tmp_path), KubernetesApi(cluster.address, account))
    with pytest.raises(LaunchError) as found:
        await faulty.start(run, SETTINGS)
    await looks(faulty, run)
    await faulty.stop(run)
    assert "\n" not in str(found.value)
    assert token not in str(found.value) + capsys.readouterr().out


async def test_a_job_of_another_release_is_not_taken_up(
    cluster: Cluster, jobs: KubernetesJobs, run: RunFolder, tmp_path: Path
) -> None:
    await jobs.start(run, SETTINGS)
    template = json.loads((tmp_path / "job.json").read_text())
    template["metadata"]["labels"]["app.kubernetes.io/instance"] = "other"
    (tmp_path / "job.json").write_text(json.dumps(template))
    with pytest.raises(LaunchError, match=f"there is a Job {NAME} already, and it is not of this release"):
        await jobs.start(run, SETTINGS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON file of a Job"),
        ('{"kind": "Pod"}', "holds no Job of batch/v1"),
        ('{"kind": "Job", "apiVersion": "batch/v1", "metadata": {}}', "1 to 38 characters"),
    ],
)
async def test_a_template_that_is_none_is_refused_at_the_start(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "job.json").write_text(text)
    jobs = KubernetesJobs(
        "trainer.retrain", tmp_path / "job.json", KubernetesApi("https://127.0.0.1:1", tmp_path)
    )
    with pytest.raises(SettingsError, match=said):
        await jobs.check()

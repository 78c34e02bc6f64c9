"""Train on one side of a file of graded judgments, score the other over the whole catalogue.

Pretrained model, BM25, and what was learnt. ``dense`` is the trained encoder alone, ``served`` the encoder
with BM25, weighed on training queries that were not trained. The trainer's own code and default settings;
nothing is chosen on the test.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.report import data_folder, finish, say
from benchmarks.learning.judged import Judged, read_catalog
from retrieval.model_folder import resolve_model
from schemas.settings import TrainerSettings
from trainer.evaluation.bootstrap import interval, resampled_means
from trainer.evaluation.files import Evaluation
from trainer.evaluation.rankers import EvaluationCatalog
from trainer.evaluation.scoring import evaluate
from trainer.learning.fine_tune import device_of, fine_tune
from trainer.learning.plan import plan
from trainer.learning.training_data import TrainingData
from trainer.learning.training_progress import TrainingStep

SYSTEMS = {
    "bm25": "bm25",
    "base": "base_dense",
    "rrf": "rrf",
    "dense": "candidate_dense",
    "served": "candidate",
    "served_untrained": "base",
}
DIFFERENCES = (("served", "bm25"), ("dense", "base"), ("served", "served_untrained"))


def learn(catalog: pl.DataFrame, judged: Judged, settings: TrainerSettings, folder: Path) -> dict[str, float]:
    """Train from the base model into ``folder``; return what it took."""

    def progress(step: TrainingStep) -> None:
        if step.step % 20 == 0 or step.step == step.steps:
            say(
                f"step {step.step}/{step.steps}, loss {step.loss:.3f}, {step.pairs_per_s:.0f} pairs/s, "
                f"{step.eta_s:.0f} s to go"
            )

    device = device_of(settings.device)
    facts = fine_tune(
        resolve_model(settings.base_model),
        folder,
        TrainingData(
            judged.weighted,
            judged.known,
            dict(catalog.select("product_id", "text").iter_rows()),
            judged.inner,
        ),
        plan(settings, new_pairs=judged.weighted.height, old_pairs=0, from_live=False, device=device),
        progress=progress,
    )
    return {
        "pairs": judged.weighted.height,
        "steps": facts.steps,
        "batch_size": facts.batch_size,
        "cpu_s": facts.cpu_s,
    }


def differences(found: Evaluation, seed: int) -> dict[str, dict[str, float]]:
    """Return the mean and the 95 % interval of each difference of nDCG@10, paired by query."""
    by_system = {
        name: found.queries.select("query")
        .join(
            found.results.filter(pl.col("system") == system), on="query", how="left", maintain_order="left"
        )["ndcg10"]
        .to_numpy()
        for name, system in SYSTEMS.items()
    }
    out = {}
    for number, (ours, theirs) in enumerate(DIFFERENCES):
        delta = by_system[ours] - by_system[theirs]
        low, high = interval(
            resampled_means(delta[:, None], resamples=10_000, seed=seed + number)[:, 0], 0.025
        )
        out[f"{ours}_minus_{theirs}"] = {
            "mean": round(float(delta.mean()), 4),
            "low": round(low, 4),
            "high": round(high, 4),
        }
    return out


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=Path, default=None)
    parser.add_argument("--judgments", type=Path, default=None)
    parser.add_argument("--limit", type=int, default=None, help="use at most so many queries of each side")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    started = time.monotonic()
    settings = TrainerSettings(seed=args.seed)
    catalog, refused = read_catalog(args.products or data_folder() / "homedepot_products.jsonl.gz")
    path = args.judgments or data_folder() / "homedepot_judgments.jsonl.gz"
    judged = Judged.read(path, set(catalog["product_id"].to_list()), settings, limit=args.limit)
    tests = judged.qrels["query"].n_unique()
    say(
        f"{catalog.height} products ({refused} refused), {judged.weighted.height} pairs to train, {tests} "
        "test queries"
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        training = learn(catalog, judged, settings, folder)
        say(f"trained: {training}; encoding the catalogue twice")
        base = resolve_model(settings.base_model)
        found = evaluate(
            EvaluationCatalog.of(catalog),
            judged.qrels,
            judged.weighted,
            {"candidate": folder, "base": base},
            inner=judged.inner,
            language=settings.language,
            threads=1,
        )
    means = found.results.group_by("system").agg(pl.col("ndcg10", "recall50").mean())
    ndcg10, recall50 = (
        {row["system"]: row[metric] for row in means.iter_rows(named=True)}
        for metric in ("ndcg10", "recall50")
    )
    intervals = differences(found, args.seed)
    leaked = (
        judged.weighted.join(judged.qrels, on="query", how="semi").height
        + judged.weighted.join(judged.inner, on="query", how="semi").height
    )
    ok = (
        not found.facts.problems
        and not leaked
        and bool(np.isfinite(list(ndcg10.values())).all())
        and found.queries.height > 0
    )
    return finish(
        "graded",
        seed=args.seed,
        started=started,
        ok=ok,
        device=device_of(settings.device),
        products=catalog.height,
        products_refused=refused,
        test_queries=found.queries.height,
        training=training,
        ndcg10={name: round(ndcg10[system], 4) for name, system in SYSTEMS.items()},
        recall50={name: round(recall50[system], 4) for name, system in SYSTEMS.items()},
        intervals=intervals,
        coefficients={
            name: found.facts.rankings[SYSTEMS[name]].coefficients for name in ("served", "served_untrained")
        },
        validation_queries=found.facts.validation_queries,
        goals={
            "dense_minus_base_0.06": intervals["dense_minus_base"]["mean"] >= 0.06,
            "served_minus_bm25_0.035": intervals["served_minus_bm25"]["mean"] >= 0.035,
        },
        problems=found.facts.problems,
    )


if __name__ == "__main__":
    raise SystemExit(main())

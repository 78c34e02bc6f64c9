"""Candidates that are really trained from live, harmful and better ones, and what the gate says of each."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.harness.report import say
from benchmarks.verdicts.planted_candidates import Floats
from benchmarks.verdicts.planted_cases import VICTIMS
from benchmarks.verdicts.promotion_rules import peers
from benchmarks.verdicts.trained_shop import ShopData, poisoned, with_nan, with_pooling
from trainer.data.trust import believed
from trainer.evaluation.files import Evaluation
from trainer.evaluation.power import DEFAULT_SD
from trainer.gate.case import evidence_of as evidence_of_files
from trainer.gate.verdict import decide

TRAINED_QUERIES = 600
STEPS = 10


def train_all(
    ground: ShopData, live: Path, base: Path, folder: Path, seed: int, count: int
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Train and judge real candidates from live.

    Return what the gate said of each, and how the plain ones spread.
    """
    names = ground.qrels["query"].unique().sort()
    used = set(names.sample(min(TRAINED_QUERIES, names.len()), seed=seed).to_list())
    qrels = ground.qrels.filter(pl.col("query").is_in(used))
    foul_data = [
        poisoned(replace(ground, qrels=qrels), seed + n, victims=int(VICTIMS * len(used)), credit=10.0)
        for n in range(count)
    ]
    known = ground.evaluate(
        {"base": base, "live": live}, qrels, {str(n): spam for n, (_, spam, _, _) in enumerate(foul_data)}
    )
    told: list[dict[str, Any]] = []
    changes: list[Floats] = []
    for number, (pairs, spam_qrels, _, victims) in enumerate(foul_data):
        s = 100 * seed + number
        one = categories_of(ground)[s % len(categories_of(ground))]
        for kind in ("better", "shuffled_labels", "one_category", "poisoned", "wrong_pooling", "nan"):
            model = make(kind, ground, live, folder / f"{kind}{s}", s, one, pairs, victims)
            foul_test = kind == "poisoned"
            found = ground.evaluate({"candidate": model}, spam_qrels if foul_test else qrels)
            both = _joined(known.judged[str(number)] if foul_test else known, known, found)
            told.append(_judge_trained(ground, both, kind, one, victims))
            if kind == "better":
                changes.append(_changes(both))
            shutil.rmtree(model)
            say(f"trained {told[-1]}")
    sds = [float(c.std()) for c in changes] or [DEFAULT_SD]
    return told, {
        "sd": round(float(np.median(sds)), 4),
        "changed": round(float(np.mean([(c != 0).mean() for c in changes] or [0.0])), 3),
        "gain": round(float(np.mean([c.mean() for c in changes] or [0.0])), 4),
    }


def make(
    kind: str, ground: ShopData, live: Path, output: Path, seed: int, category: str, foul_pairs: pl.DataFrame,
    victims: list[str]
) -> Path:  # fmt: skip
    """Make a candidate of a kind from the live model."""
    if kind == "wrong_pooling":
        return with_pooling(live, output, ("cls", "max", "lasttoken")[seed % 3])
    if kind == "nan":
        return with_nan(live, output, seed % 10)
    pairs, rate = ground.weighted, ground.settings.learning_rate
    if kind == "shuffled_labels":
        pairs = pairs.with_columns(product_id=pairs["product_id"].shuffle(seed=seed))
    elif kind == "one_category":
        category_of = dict(ground.snapshot.catalog.select("product_id", "category").iter_rows())
        pairs, rate = pairs.filter(pl.col("product_id").replace_strict(category_of) == category), 2e-3
    elif kind == "poisoned":
        ours = foul_pairs.filter(pl.col("query").is_in(victims))
        pairs = pl.concat(
            [ours, foul_pairs.filter(~pl.col("query").is_in(victims)).sample(4 * ours.height, seed=seed)]
        )
    return ground.train(live, output, pairs, steps=STEPS, seed=seed, rate=rate)


def categories_of(ground: ShopData) -> list[str]:
    """Return the top categories, sorted."""
    return list(ground.snapshot.catalog["category"].unique().sort().to_list())


def _joined(test: Evaluation, known: Evaluation, candidate: Evaluation) -> Evaluation:
    systems = ["base", "base_dense", "live", "bm25", "popularity"]
    rows = test.results.filter(pl.col("system").is_in(systems))
    best = rows.filter(pl.col("system") == "live").with_columns(system=pl.lit("best"))
    own = candidate.results.filter(pl.col("system") == "candidate")
    facts = candidate.facts.model_copy(
        update={
            "artefacts": {**known.facts.artefacts, **candidate.facts.artefacts},
            "problems": candidate.facts.problems,
        }
    )
    return Evaluation(test.queries, pl.concat([rows, best, own]), facts)


def _changes(evaluation: Evaluation) -> Floats:
    values = {
        system: evaluation.results.filter(pl.col("system") == system).sort("query")["ndcg10"].to_numpy()
        for system in ("candidate", "live")
    }
    return values["candidate"] - values["live"] if len(values["candidate"]) else np.zeros(0)


def _judge_trained(
    ground: ShopData, evaluation: Evaluation, kind: str, category: str, victims: list[str]
) -> dict[str, Any]:
    trusted = believed(ground.snapshot.clients, deviations=ground.settings.newcomer_deviations)
    evidence = replace(
        evidence_of_files(evaluation, ground.snapshot, ground.weighted, trusted), data=ground.data, pinned=[]
    )
    spam = set(victims) if kind == "poisoned" else set[str]()
    queries = evaluation.queries.sort("query")["query"].to_list()
    if spam:
        evidence = replace(
            evidence,
            clients=["spammer" if q in spam else c for q, c in zip(queries, evidence.clients, strict=True)],
        )
    verdict, checks = decide(evidence, ground.settings)
    change = _changes(evaluation)
    outside = (
        np.array([c != category for c in evidence.categories])
        if kind == "one_category"
        else np.array([q not in spam for q in queries])
    )
    elsewhere = float(change[outside].mean()) if len(change) else None
    harmful = kind != "better" and (elsewhere is None or kind == "poisoned" or elsewhere < 0)
    return {
        "kind": kind, "promoted": verdict == "pass", "verdict": verdict,
        "delta": round(float(change.mean()), 4) if len(change) else None,
        "elsewhere": None if elsewhere is None else round(elsewhere, 4), "harmful": harmful,
        "peers": peers(evidence), "stopped_by": [c.name for c in checks if c.verdict != "pass"],
    }  # fmt: skip

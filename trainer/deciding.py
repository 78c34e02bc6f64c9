"""From an evaluation to the decision that is kept for ever: the gate's checks, the scores, and examples that a person can judge."""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from schemas.training import Decision
from trainer.evaluation_files import Evaluation
from trainer.gate import Evidence, Limits, decide, scores, sound
from trainer.segments import SEGMENTS

BETTER, WORSE, SHOWN = 3, 2, 5


def evidence_of(evaluation: Evaluation) -> Evidence:
    """Return the evaluation as arrays in the order of its queries."""
    order = evaluation.queries.select("query")
    ndcg10, best = {}, {}
    for system in evaluation.results["system"].unique().sort().to_list():
        own = order.join(evaluation.results.filter(pl.col("system") == system), on="query", how="left", maintain_order="left")
        ndcg10[system] = own["ndcg10"].fill_null(float("nan")).to_numpy()
        best[system] = own["best_in_10"].fill_null(value=False).to_numpy()
    segments = {name: evaluation.queries[name].to_numpy() for name in SEGMENTS}
    return Evidence(ndcg10, best, segments, evaluation.facts.artefacts, evaluation.facts.problems)


def build_decision(
    evaluation: Evaluation,
    limits: Limits,
    titles: Mapping[str, str],
    *,
    run_id: str,
    force_reason: str | None,
    snapshot_sha256: str,
    generation: int,
    at: datetime,
) -> Decision:
    """Run the gate and return the decision. With a ``force_reason`` a sound artefact is "forced" where the gate does not pass it."""
    evidence = evidence_of(evaluation)
    verdict, checks = decide(evidence, limits)
    reasons = [f"{c.name}: {c.verdict}: {c.reason}" for c in checks if c.verdict != "pass"]
    forced = verdict != "pass" and force_reason is not None and sound(checks)
    return Decision(
        decision_id=run_id,
        run_id=run_id,
        verdict="forced" if forced else verdict,
        reasons=[f"forced ({verdict}): {force_reason}", *reasons] if forced else reasons,
        checks=checks,
        ndcg10=scores(evidence, limits),
        examples=examples(evaluation, titles),
        snapshot_sha256=snapshot_sha256,
        candidate_sha256=evaluation.facts.fingerprints.get("candidate"),
        seed=limits.seed,
        generation_before=generation,
        at=at,
    )


def examples(evaluation: Evaluation, titles: Mapping[str, str]) -> list[dict[str, str | list[str]]]:
    """Return up to five queries before and after: the three that gain most and the two that lose most, ties by traffic, then text."""
    both = evaluation.queries
    for system in ("live", "candidate"):
        own = evaluation.results.filter(pl.col("system") == system).select("query", pl.col("ndcg10", "top").name.suffix(f"_{system}"))
        both = both.join(own, on="query", how="inner")
    changed = both.with_columns(change=pl.col("ndcg10_candidate") - pl.col("ndcg10_live")).sort(
        "change", "credit", "query", descending=[True, True, False]
    )
    chosen = pl.concat([changed.filter(pl.col("change") > 0).head(BETTER), changed.filter(pl.col("change") < 0).tail(WORSE)])
    return [
        {
            "query": row["query"],
            "live": [titles.get(p, p) for p in row["top_live"][:SHOWN]],
            "candidate": [titles.get(p, p) for p in row["top_candidate"][:SHOWN]],
            "relevant": [titles.get(p, p) for p in row["relevant"][:SHOWN]],
            "ndcg10": f"{row['ndcg10_live']:.3f} -> {row['ndcg10_candidate']:.3f}",
        }
        for row in chosen.iter_rows(named=True)
    ]

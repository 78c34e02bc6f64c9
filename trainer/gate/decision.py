"""From an evaluation to the decision that is kept for ever.

The gate's checks, the scores, and examples that a person can judge.
"""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from artefacts.folders import stored_ranking
from schemas.releases import Ranking
from schemas.training import Decision
from trainer.evaluation.files import Evaluation
from trainer.evaluation.rank_changes import digest_of
from trainer.gate.artefact_checks import sound
from trainer.gate.case import Case, digests
from trainer.gate.verdict import decide, scores

BETTER, WORSE, SHOWN = 3, 2, 5


def build_decision(case: Case, *, at: datetime) -> Decision:
    """Run the gate and return the decision.

    With a reason to force it a sound artefact is "forced" where the gate does not pass it.
    """
    request, limits, evidence = case.request, case.request.settings, case.evidence
    verdict, checks = decide(evidence, limits)
    reasons = [f"{c.name}: {c.verdict}: {c.reason}" for c in checks if c.verdict != "pass"]
    force_reason = request.force_reason if request.force else None
    forced = verdict != "pass" and force_reason is not None and sound(checks)
    return Decision(
        decision_id=request.run_id,
        run_id=request.run_id,
        verdict="forced" if forced else verdict,
        reasons=[f"forced ({verdict}): {force_reason}", *reasons] if forced else reasons,
        checks=checks,
        ndcg10=scores(evidence, limits),
        part_gains=case.evaluation.facts.part_gains,
        examples=examples(case.evaluation, case.titles),
        snapshot_sha256=case.manifest.sha256,
        candidate_sha256=case.evaluation.facts.fingerprints.get("candidate"),
        candidate_ranking=stored_ranking(case.evaluation.facts.rankings.get("candidate", Ranking())),
        evidence=digests(case.folder),
        limits=limits.limits(),
        tries=case.past.tries + 1,
        seed=limits.seed,
        generation_before=case.manifest.live.live.generation,
        at=at,
    )


def examples(evaluation: Evaluation, titles: Mapping[str, str]) -> list[dict[str, str | list[str]]]:
    """Return up to five queries before and after.

    The three that gain most and the two that lose most, ties by traffic, then text. The decision is kept for
    ever: it names each query by its digest; the report shows them with their texts.
    """
    both = evaluation.queries
    for system in ("live", "candidate"):
        own = evaluation.results.filter(pl.col("system") == system).select(
            "query", pl.col("ndcg10", "top").name.suffix(f"_{system}")
        )
        both = both.join(own, on="query", how="inner")
    changed = both.with_columns(change=pl.col("ndcg10_candidate") - pl.col("ndcg10_live")).sort(
        "change", "credit", "query", descending=[True, True, False]
    )
    chosen = pl.concat(
        [changed.filter(pl.col("change") > 0).head(BETTER), changed.filter(pl.col("change") < 0).tail(WORSE)]
    )
    return [
        {
            "query": digest_of(row["query"]),
            "live": [titles.get(p, p) for p in row["top_live"][:SHOWN]],
            "candidate": [titles.get(p, p) for p in row["top_candidate"][:SHOWN]],
            "relevant": [titles.get(p, p) for p in row["relevant"][:SHOWN]],
            "ndcg10": f"{row['ndcg10_live']:.3f} -> {row['ndcg10_candidate']:.3f}",
        }
        for row in chosen.iter_rows(named=True)
    ]

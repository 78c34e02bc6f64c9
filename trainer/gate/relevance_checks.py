"""The rows of the gate that compare relevance: which comparison, held against what.

Pure; ``docs/gate.md`` gives the reasons.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from schemas.settings import GateSettings
from schemas.training import Check
from trainer.evaluation.bootstrap import Floats
from trainer.evaluation.ranking_metrics import RANKING_METRICS
from trainer.evaluation.segments import GUARDED
from trainer.gate.comparison import ALPHA, UNTAUGHT, Rule, judge, missing
from trainer.gate.evidence import Bools, GateEvidence, Verdict
from trainer.gate.gate_rows import GATE_ROWS, GateRow

FURTHER = tuple(metric.name for metric in RANKING_METRICS if metric.vetoes)


def relevance_checks(evidence: GateEvidence, limits: GateSettings) -> list[Check]:
    """Return the checks against live, base, BM25, popularity and the best recent generation.

    And those of segments, further metrics, judgments, and of whose gain it is.
    """
    rules = [
        _live(evidence, limits),
        _bounded(evidence, "vs_base", "base", limits),
        _bounded(evidence, "ratchet", "best", limits),
        *_plain(evidence),
        *segment_rules(evidence, limits, sorted(s for s in evidence.segments if s != "all")),
        *_guards(evidence, limits),
        *_metrics(evidence, limits),
        _without_best_category(evidence, limits),
    ]
    checks = judge(rules, clusters=evidence.clusters, resamples=limits.gate_resamples, seed=limits.seed)
    for number, (name, systems) in enumerate(sorted(evidence.judged.items()), 1):
        rule = _judged(evidence, name, systems.get("candidate"), systems.get("live"))
        checks += judge([rule], clusters=None, resamples=limits.gate_resamples, seed=limits.seed + number)
    return [*checks, _one_client(evidence, limits), catastrophes_check(evidence, limits)]


def _rule(evidence: GateEvidence, name: str, baseline: str, reason: str, **changes: Any) -> Rule:
    a, b = evidence.ndcg10.get("candidate"), evidence.ndcg10.get(baseline)
    weight = _weight(evidence.segments.get("all"))
    rule = Rule(name, reason, a, b, weight, _absent(evidence, baseline), baseline=baseline)
    return replace(rule, **changes)


def _absent(evidence: GateEvidence, baseline: str) -> str:
    system = (
        "candidate"
        if "candidate" not in evidence.ndcg10
        else baseline
        if baseline not in evidence.ndcg10
        else "all"
    )
    return f"{system}: {evidence.problems.get(system, 'no numbers')}"


def _live(evidence: GateEvidence, limits: GateSettings) -> Rule:
    least = GATE_ROWS["vs_live"].limit_by(limits)
    told = GATE_ROWS["vs_live"].told(limit=least)
    return _rule(
        evidence,
        "vs_live",
        "live",
        told,
        floor=least,
        ceiling=_no_loss(limits),
        otherwise="inconclusive",
        threshold=least,
    )


def _bounded(evidence: GateEvidence, name: str, baseline: str, limits: GateSettings) -> Rule:
    most = GATE_ROWS[name].limit_by(limits)
    told = GATE_ROWS[name].told(limit=most)
    return _rule(
        evidence, name, baseline, told, floor=-most, ceiling=-most, otherwise="inconclusive", threshold=-most
    )


def _plain(evidence: GateEvidence) -> list[Rule]:
    head = _weight(evidence.segments.get("head"))
    return [
        _rule(evidence, "vs_bm25", "bm25", GATE_ROWS["vs_bm25"].told(), least=0.0),
        _rule(
            evidence,
            "vs_bm25_head",
            "bm25",
            GATE_ROWS["vs_bm25_head"].told(),
            weight=head,
            segment="head",
            empty="pass",
        ),
        _rule(evidence, "vs_popularity", "popularity", GATE_ROWS["vs_popularity"].told(), least=0.0),
    ]


def segment_rules(evidence: GateEvidence, limits: GateSettings, segments: Sequence[str]) -> list[Rule]:
    """Return the rules that no segment loses against live, corrected over those that are large enough."""
    row = GATE_ROWS["segment_NAME"]
    return _grouped(evidence, limits, dict.fromkeys(segments, ("segment_", row)), "live")


def _guards(evidence: GateEvidence, limits: GateSettings) -> list[Rule]:
    """Return the rules of what learning tends to hurt: live may have buried these products already."""
    groups = {s: ("guard_", GATE_ROWS[f"guard_{s}"]) for s in GUARDED if s in evidence.segments}
    return _grouped(evidence, limits, groups, UNTAUGHT)


def _grouped(
    evidence: GateEvidence, limits: GateSettings, groups: Mapping[str, tuple[str, GateRow]], baseline: str
) -> list[Rule]:
    fewest = limits.gate_min_segment_queries
    tested = [segment for segment in groups if evidence.segments[segment].sum() >= fewest]
    rules = []
    for segment, (prefix, row) in groups.items():
        most = row.limit_by(limits)
        told = row.told(limit=most, segments=len(tested))
        rules.append(
            _rule(
                evidence, prefix + segment, baseline,
                told if segment in tested else f"reported only: fewer than {fewest} queries",
                segment=segment, weight=_weight(evidence.segments[segment]),
                tail=ALPHA / max(1, len(tested)), loss=-most, threshold=-most,
                reported=segment not in tested, empty="pass",
            )
        )  # fmt: skip
    return rules


def _metrics(evidence: GateEvidence, limits: GateSettings) -> list[Rule]:
    """Return the rules of the other metrics; Bonferroni over them."""
    everything = _weight(evidence.segments.get("all"))
    rows: list[tuple[str, str, Mapping[str, Floats], Floats | None]]
    rows = [(f"metric_{metric}", metric, evidence.further.get(metric, {}), everything) for metric in FURTHER]
    rows += [
        (f"metric_{name}_ndcg10", f"{name}_ndcg10", evidence.ndcg10, weight)
        for name, weight in (("traffic", evidence.traffic), ("revenue", evidence.revenue))
    ]
    return [
        _rule(
            evidence, name, "live", GATE_ROWS["metric_NAME"].told(),
            a=values.get("candidate"), b=values.get("live"), weight=weight,
            missing=f"{metric} of candidate or live", metric=metric,
            tail=ALPHA / len(rows), ceiling=_no_loss(limits), empty="pass",
        )
        for name, metric, values, weight in rows
    ]  # fmt: skip


def _no_loss(limits: GateSettings) -> float:
    """Return the mean below which something is lost: 0, or less where no worse is good enough."""
    return min(0.0, limits.gate_min_gain)


def _without_best_category(evidence: GateEvidence, limits: GateSettings) -> Rule:
    gains = _gain_by(evidence, evidence.categories)
    reason = "the catalogue has no categories that could be compared"
    mask = evidence.segments.get("all")
    if len(gains) > 1 and mask is not None:
        best = max(gains, key=lambda name: (gains[name], name))
        mask = np.array([name != best for name in evidence.categories], dtype=bool)
        reason = GATE_ROWS["gain_beyond_one_category"].told(best=best)
    return _rule(
        evidence, "gain_beyond_one_category", "live", reason,
        weight=_weight(mask), least=_no_loss(limits), ceiling=_no_loss(limits),
        segment="all but one category", reported=len(gains) < 2,
    )  # fmt: skip


def _gain_by(evidence: GateEvidence, groups: Sequence[str]) -> dict[str, float]:
    """Return the sum of the candidate's differences to live by group; no groups, no numbers: empty."""
    a, b = evidence.ndcg10.get("candidate"), evidence.ndcg10.get("live")
    if a is None or b is None or len(groups) != len(a):
        return {}
    gains: dict[str, float] = {}
    for name, change in zip(groups, np.nan_to_num(a - b).tolist(), strict=True):
        if name:
            gains[name] = gains.get(name, 0.0) + change
    return gains


def _one_client(evidence: GateEvidence, limits: GateSettings) -> Check:
    """Of a gain at most half may come from queries that one client has made: it is no other's gain."""
    gains = _gain_by(evidence, evidence.clients)
    a, b = evidence.ndcg10.get("candidate"), evidence.ndcg10.get("live")
    row = GATE_ROWS["gain_beyond_one_client"]
    name, reason, limit = row.name, row.told(), row.limit_by(limits)
    if a is None or b is None:
        return missing(name, _absent(evidence, "live"), baseline="live")
    total, most = float(np.nan_to_num(a - b).sum()), max(gains.values(), default=0.0)
    share = most / total if total > 0 else 0.0
    verdict: Verdict = "pass" if share <= limit else "inconclusive"
    return Check(
        name=name,
        verdict=verdict,
        reason=reason,
        baseline="live",
        candidate_value=share,
        n=len(a),
        threshold=limit,
    )


def _judged(evidence: GateEvidence, name: str, a: Floats | None, b: Floats | None) -> Rule:
    reason = GATE_ROWS["judgments_NAME"].told(name=name)
    weight = None if a is None else np.ones(len(a))
    return _rule(
        evidence,
        f"judgments_{name}",
        "live",
        reason,
        a=a,
        b=b,
        weight=weight,
        missing=f"scores on {name!r}",
        segment=name,
        empty="pass",
    )


def catastrophes_check(evidence: GateEvidence, limits: GateSettings) -> Check:
    """Return the check of queries that lose their best product from the first ten."""
    candidate, live = evidence.best_in_10.get("candidate"), evidence.best_in_10.get("live")
    if candidate is None or live is None:
        return missing("catastrophes", "best products of candidate and live", baseline="live")
    limit = GATE_ROWS["catastrophes"].limit_by(limits)
    share = float((live & ~candidate).mean()) if len(live) else 0.0
    return Check(
        name="catastrophes",
        verdict="pass" if share <= limit else "fail",
        reason=GATE_ROWS["catastrophes"].told(),
        baseline="live",
        candidate_value=share,
        n=len(live),
        threshold=limit,
    )


def _weight(mask: Bools | None) -> Floats | None:
    return None if mask is None else mask.astype(np.float64)

"""The rows of the gate that compare relevance, Q1 to Q7: which comparison, held against what. Pure; ``docs/gate.md`` gives the reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from schemas.settings import GateSettings
from schemas.training import Check
from trainer.evaluation.bootstrap import Floats
from trainer.evaluation.ranking_metrics import RANKING_METRICS
from trainer.gate.comparison import ALPHA, Rule, judge
from trainer.gate.evidence import Bools, Evidence, Verdict

FURTHER = tuple(metric.name for metric in RANKING_METRICS if metric.vetoes)
MIN_SEGMENT = 50
SEGMENT_LOSS = 0.01
MAX_ONE_CLIENT = 0.5


def relevance_checks(evidence: Evidence, limits: GateSettings) -> list[Check]:
    """Return the checks against live, base, BM25, popularity and the best recent generation, of segments, metrics and judgments."""
    rules = [_live(evidence, limits), _base(evidence, limits), _best(evidence, limits), *_plain(evidence)]
    rules += [*_segments(evidence), *_metrics(evidence, limits), _without_best_category(evidence, limits)]
    checks = judge(rules, clusters=evidence.clusters, resamples=limits.gate_resamples, seed=limits.seed)
    for number, (name, systems) in enumerate(sorted(evidence.judged.items()), 1):
        checks += judge([_judged(evidence, name, systems.get("candidate"), systems.get("live"))], clusters=None,
                        resamples=limits.gate_resamples, seed=limits.seed + number)  # fmt: skip
    return [*checks, _one_client(evidence), _catastrophes(evidence, limits)]


def _rule(evidence: Evidence, name: str, baseline: str, reason: str, **changes: Any) -> Rule:
    a, b = evidence.ndcg10.get("candidate"), evidence.ndcg10.get(baseline)
    weight = _weight(evidence.segments.get("all"))
    rule = Rule(name, reason, a, b, weight, _absent(evidence, baseline), baseline=baseline)
    return replace(rule, **changes)


def _absent(evidence: Evidence, baseline: str) -> str:
    system = "candidate" if "candidate" not in evidence.ndcg10 else baseline if baseline not in evidence.ndcg10 else "all"
    return f"{system}: {evidence.problems.get(system, 'no numbers')}"


def _live(evidence: Evidence, limits: GateSettings) -> Rule:
    reason = f"the gain against live must be above {limits.gate_min_gain} with 95 % confidence"
    return _rule(
        evidence, "vs_live", "live", reason,
        floor=limits.gate_min_gain, ceiling=_no_loss(limits), otherwise="inconclusive", threshold=limits.gate_min_gain,
    )  # fmt: skip


def _base(evidence: Evidence, limits: GateSettings) -> Rule:
    reason = f"the loss against the pretrained model must be below {limits.gate_max_loss_base} with 95 % confidence"
    return _bounded(evidence, "vs_base", "base", reason, -limits.gate_max_loss_base, ceiling=-limits.gate_max_loss_base)


def _best(evidence: Evidence, limits: GateSettings) -> Rule:
    reason = f"the loss against the best of the last generations must be below {limits.gate_max_loss_best} with 95 % confidence"
    return _bounded(evidence, "ratchet", "best", reason, -limits.gate_max_loss_best, ceiling=-limits.gate_max_loss_best)


def _bounded(evidence: Evidence, name: str, baseline: str, reason: str, floor: float, *, ceiling: float) -> Rule:
    return _rule(evidence, name, baseline, reason, floor=floor, ceiling=ceiling, otherwise="inconclusive", threshold=floor)


def _plain(evidence: Evidence) -> list[Rule]:
    head = _weight(evidence.segments.get("head"))
    reason = "the candidate's mean must not be below that of"
    return [
        _rule(evidence, "vs_bm25", "bm25", f"{reason} BM25; worse with 95 % confidence is a fail", least=0.0),
        _rule(evidence, "vs_bm25_head", "bm25", "frequent queries must not be worse than BM25's with 95 % confidence",
              weight=head, segment="head", empty="pass"),
        _rule(evidence, "vs_popularity", "popularity", f"{reason} popularity alone; worse with 95 % confidence is a fail", least=0.0),
    ]  # fmt: skip


def _segments(evidence: Evidence) -> list[Rule]:
    names = sorted(s for s in evidence.segments if s != "all")
    tested = [s for s in names if evidence.segments[s].sum() >= MIN_SEGMENT]
    told = f"no segment may lose more than {SEGMENT_LOSS}, with 95 % confidence over {len(tested)} segments (Bonferroni)"
    return [
        _rule(
            evidence, f"segment_{segment}", "live", told if segment in tested else f"reported only: fewer than {MIN_SEGMENT} queries",
            segment=segment, weight=_weight(evidence.segments[segment]), tail=ALPHA / max(1, len(tested)), loss=-SEGMENT_LOSS,
            threshold=-SEGMENT_LOSS, reported=segment not in tested, empty="pass",
        )
        for segment in names
    ]  # fmt: skip


def _metrics(evidence: Evidence, limits: GateSettings) -> list[Rule]:
    """Return the rules of the other metrics; Bonferroni over them."""
    everything = _weight(evidence.segments.get("all"))
    rows: list[tuple[str, str, Mapping[str, Floats], Floats | None]]
    rows = [(f"metric_{metric}", metric, evidence.further.get(metric, {}), everything) for metric in FURTHER]
    rows += [(f"metric_{name}_ndcg10", f"{name}_ndcg10", evidence.ndcg10, weight) for name, weight in _weights(evidence).items()]
    return [
        _rule(
            evidence, name, "live", "must not be worse than live with 95 % confidence over all further metrics (Bonferroni)",
            a=values.get("candidate"), b=values.get("live"), weight=weight,
            missing=f"{metric} of candidate or live", metric=metric,
            tail=ALPHA / len(rows), ceiling=_no_loss(limits), empty="pass",
        )
        for name, metric, values, weight in rows
    ]  # fmt: skip


def _no_loss(limits: GateSettings) -> float:
    """Return the mean below which something is lost: 0, or less where no worse is good enough."""
    return min(0.0, limits.gate_min_gain)


def _weights(evidence: Evidence) -> dict[str, Floats | None]:
    return {"traffic": evidence.traffic, "revenue": evidence.revenue}


def _without_best_category(evidence: Evidence, limits: GateSettings) -> Rule:
    gains = _gain_by(evidence, evidence.categories)
    reason = "the catalogue has no categories that could be compared"
    mask = evidence.segments.get("all")
    if len(gains) > 1 and mask is not None:
        best = max(gains, key=lambda name: (gains[name], name))
        mask = np.array([name != best for name in evidence.categories], dtype=bool)
        reason = f"without the category that gains most, {best!r}, there must be no loss"
    return _rule(
        evidence, "gain_beyond_one_category", "live", reason,
        weight=_weight(mask), least=_no_loss(limits), ceiling=_no_loss(limits),
        segment="all but one category", reported=len(gains) < 2,
    )  # fmt: skip


def _gain_by(evidence: Evidence, groups: Sequence[str]) -> dict[str, float]:
    """Return the sum of the candidate's differences to live by group; no groups, no numbers: empty."""
    a, b = evidence.ndcg10.get("candidate"), evidence.ndcg10.get("live")
    if a is None or b is None or len(groups) != len(a):
        return {}
    gains: dict[str, float] = {}
    for name, change in zip(groups, np.nan_to_num(a - b).tolist(), strict=True):
        if name:
            gains[name] = gains.get(name, 0.0) + change
    return gains


def _one_client(evidence: Evidence) -> Check:
    """Of a gain at most half may come from queries that one client has made: it is no other's gain."""
    gains = _gain_by(evidence, evidence.clients)
    a, b = evidence.ndcg10.get("candidate"), evidence.ndcg10.get("live")
    name, reason = "gain_beyond_one_client", "share of the gain that comes from queries of which one client holds most of the credit"
    if a is None or b is None:
        return Check(name=name, verdict="fail", reason=f"missing: {_absent(evidence, 'live')}", baseline="live")
    total, most = float(np.nan_to_num(a - b).sum()), max(gains.values(), default=0.0)
    share = most / total if total > 0 else 0.0
    verdict: Verdict = "pass" if share <= MAX_ONE_CLIENT else "inconclusive"
    return Check(name=name, verdict=verdict, reason=reason, baseline="live", candidate_value=share, n=len(a), threshold=MAX_ONE_CLIENT)


def _judged(evidence: Evidence, name: str, a: Floats | None, b: Floats | None) -> Rule:
    reason = f"the operator's judgments {name!r} must not be answered worse than by live, with 95 % confidence"
    weight = None if a is None else np.ones(len(a))
    return _rule(
        evidence, f"judgments_{name}", "live", reason, a=a, b=b, weight=weight, missing=f"scores on {name!r}", segment=name, empty="pass"
    )


def _catastrophes(evidence: Evidence, limits: GateSettings) -> Check:
    candidate, live = evidence.best_in_10.get("candidate"), evidence.best_in_10.get("live")
    if candidate is None or live is None:
        return Check(name="catastrophes", verdict="fail", reason="missing: best products of candidate and live", baseline="live")
    share = float((live & ~candidate).mean()) if len(live) else 0.0
    return Check(
        name="catastrophes",
        verdict="pass" if share <= limits.gate_max_catastrophes else "fail",
        reason="share of queries whose best product was in live's first ten and is not in the candidate's",
        baseline="live",
        candidate_value=share,
        n=len(live),
        threshold=limits.gate_max_catastrophes,
    )


def _weight(mask: Bools | None) -> Floats | None:
    return None if mask is None else mask.astype(np.float64)

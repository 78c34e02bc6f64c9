"""The rows of the gate beside relevance: data (D1 to D3), pinned queries (Q6), diversity (Q8), churn (Q9), whose pairs moved. Pure."""

from typing import Literal

from schemas.settings import GateSettings
from schemas.training import Check
from trainer.evaluation.rank_changes import digest_of, doubtful_first
from trainer.gate.evidence import Evidence, Verdict

MAX_CATEGORY_SHIFT = 0.3
MAX_LENGTH_SHIFT = 0.3
MAX_VOLUME_RATIO = 2.0
MIN_VOLUME_BESIDE_GARBAGE = 0.8
NAMED = 5  # rank changes in a reason
SURE_GAIN = 0.02


def data_checks(evidence: Evidence, limits: GateSettings) -> list[Check]:
    """Return the checks of the data: enough of it (else inconclusive), nothing foul (else fail), and alarms that change no verdict."""
    data, queries = evidence.data, evidence.queries
    checks = [_row("data_minimum", queries, limits.min_eval_queries, "test queries, at least", breach="inconclusive")]
    if data is None:
        return [*checks, Check(name="data", verdict="fail", reason=f"missing: {evidence.problems.get('data', 'facts of the data')}")]
    average = 10 / max(1, data.clients)
    most = max(limits.gate_max_client_share, average)
    checks += [
        _row("data_clients", data.clients, limits.gate_min_clients, "distinct clients, at least", breach="inconclusive"),
        _row("data_pairs", data.pairs, limits.gate_min_pairs, "distinct pairs of query and product, at least", breach="inconclusive"),
        _row("data_one_client", data.client_share, most, "share of all credit that one client holds, at most", most=True),
        _row(
            "data_one_query",
            data.query_share,
            limits.gate_max_query_share,
            "share of the test's credit that one query holds, at most",
            most=True,
        ),
    ]
    if data.received is None or data.refused is None:
        checks.append(Check(name="data_refused", verdict="fail", reason="missing: counts of received and refused records"))
    else:
        checks.append(_refused(data.refused / data.received if data.received else 0.0, data.volume_ratio, limits.gate_max_refused_share))
    alarms = [
        _alarm("drift_category", data.category_shift, MAX_CATEGORY_SHIFT, "greatest change of a category's share from training to test"),
        _alarm("drift_length", data.length_shift, MAX_LENGTH_SHIFT, "distance of the queries' lengths between training and test"),
        _alarm("drift_volume", data.volume_ratio, MAX_VOLUME_RATIO, "credit a day, test to training; alarms below the inverse too"),
    ]
    return [*checks, *alarms]


def exposure_checks(evidence: Evidence, limits: GateSettings, vs_live: Check) -> list[Check]:
    """Return the checks of diversity: a model that shows ever fewer products teaches the next one to show even fewer.

    A sure gain turns a breach into an alarm: the first trained model shows what shoppers want more often than a pretrained one does.
    """
    candidate, live = evidence.exposure.get("candidate"), evidence.exposure.get("live")
    if candidate is None or live is None:
        return [Check(name="diversity", verdict="fail", reason="missing: what candidate and live show", baseline="live")]
    floors = [
        (
            "coverage",
            candidate.coverage,
            live.coverage,
            limits.gate_min_coverage,
            "share of the catalogue in any first ten, of live's at least",
        ),
        (
            "new_products",
            candidate.new,
            live.new,
            limits.gate_min_new_exposure,
            "share of places for products without training pairs, of live's at least",
        ),
    ]
    gained = _sure_gain(vs_live)
    checks = [
        _against(f"diversity_{name}", ours, theirs, share * theirs, f"{reason} {share}", good=ours >= share * theirs, excused=gained)
        for name, ours, theirs, share, reason in floors
    ]
    most = live.gini + limits.gate_max_gini_rise
    reason = f"inequality (Gini) of what is shown, at most {limits.gate_max_gini_rise} above live's"
    return [*checks, _against("diversity_gini", candidate.gini, live.gini, most, reason, good=candidate.gini <= most, excused=gained)]


def churn_check(evidence: Evidence, limits: GateSettings, vs_live: Check) -> Check:
    """Return the check of how much changes for shoppers: a person should look, unless the gain is large."""
    if evidence.overlap is None:
        return Check(name="churn", verdict="fail", reason="missing: the first ten of candidate and live", baseline="live")
    good = evidence.overlap >= limits.gate_min_overlap or _sure_gain(vs_live)
    reason = f"mean rank-biased overlap with live at least {limits.gate_min_overlap}, or a sure gain above {SURE_GAIN}"
    return Check(
        name="churn", verdict="pass" if good else "inconclusive", reason=reason, baseline="live",
        candidate_value=evidence.overlap, n=evidence.queries, threshold=limits.gate_min_overlap,
    )  # fmt: skip


def pinned_check(evidence: Evidence) -> Check:
    """Return the check of the queries that an operator has pinned; without any it passes."""
    if evidence.pinned is None:
        return Check(name="pinned", verdict="fail", reason=f"missing: {evidence.problems.get('pinned', 'pinned queries')}")
    broken = [p for p in evidence.pinned if p.missing]
    told = "; ".join(f"{p.query!r} has not {', '.join(p.missing)} in its first {p.k}" for p in broken[:5])
    reason = told or ("all pinned queries hold" if evidence.pinned else "no query is pinned")
    return Check(name="pinned", verdict="fail" if broken else "pass", reason=reason, candidate_value=len(broken), n=len(evidence.pinned))


def rank_changes_check(evidence: Evidence) -> Check:
    """Return the row of the pairs by which most changed: an alarm where their clients are hardly believed, and never a veto.

    It is kept for ever, so it names queries by their digests; ``rank_changes.parquet`` and the report of the run hold the texts.
    """
    changes = evidence.rank_changes
    doubtful = [change for change in changes if change.doubtful]
    shown = doubtful_first(changes)[:NAMED]
    told = "; ".join(
        f"query {digest_of(c.query)}, product {c.product_id} from {'beyond 10' if c.before > 10 else c.before} to {c.after}: "
        f"{c.clients} clients, {c.believed:.0%} of their credit believed"
        for c in shown
    )
    return Check(
        name="rank_changes",
        verdict="pass",
        reason=f"{'ALARM: ' if doubtful else ''}{len(changes)} pairs rose within the first ten{': ' if told else ''}{told}",
        baseline="live",
        candidate_value=len(doubtful),
        n=len(changes),
        alarm=bool(doubtful),
    )


def _refused(share: float, volume: float | None, most: float) -> Check:
    """Refused records fail a run where what was accepted has become less too: whoever only sends garbage beside it holds up nobody."""
    row = _row("data_refused", share, most, "share of the raw records of late that were refused, at most", most=True)
    if row.verdict == "pass" or volume is None or volume < MIN_VOLUME_BESIDE_GARBAGE:
        return row
    told = f"ALARM: {row.reason}; what was accepted is {volume:.2f} of what it was"
    return row.model_copy(update={"verdict": "pass", "alarm": True, "reason": told})


def _row(
    name: str, value: float, threshold: float, reason: str, *, most: bool = False, breach: Literal["fail", "inconclusive"] = "fail"
) -> Check:
    good = value <= threshold if most else value >= threshold
    return Check(
        name=name,
        verdict="pass" if good else breach,
        reason=f"{value:.4g} {reason} {threshold:.4g}",
        candidate_value=value,
        threshold=threshold,
    )


def _alarm(name: str, value: float | None, threshold: float, reason: str) -> Check:
    low = name == "drift_volume"
    alarm = value is not None and (value > threshold or (low and value < 1 / threshold))
    told = "not known" if value is None else f"{'ALARM: ' if alarm else ''}{reason}"
    return Check(name=name, verdict="pass", reason=told, candidate_value=value, threshold=threshold, alarm=alarm)


def _against(name: str, ours: float, theirs: float, threshold: float, reason: str, *, good: bool, excused: bool) -> Check:
    verdict: Verdict = "pass" if good or excused else "fail"
    told = reason if good or not excused else f"ALARM, excused by a sure gain above {SURE_GAIN}: {reason}"
    return Check(
        name=name, verdict=verdict, reason=told, baseline="live", candidate_value=ours, baseline_value=theirs,
        delta=ours - theirs, threshold=threshold, alarm=excused and not good,
    )  # fmt: skip


def _sure_gain(vs_live: Check) -> bool:
    return vs_live.ci_low is not None and vs_live.ci_low > SURE_GAIN

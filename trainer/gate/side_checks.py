"""The rows of the gate beside relevance.

Data, pinned queries, diversity, churn, whose pairs moved. Pure.
"""

from schemas.settings import GateSettings
from schemas.training import Check
from trainer.evaluation.rank_changes import digest_of, doubtful_first
from trainer.gate.comparison import UNTAUGHT, missing
from trainer.gate.evidence import Exposure, GateEvidence, Verdict
from trainer.gate.gate_rows import GATE_ROWS

MIN_VOLUME_BESIDE_GARBAGE = 0.8
NAMED = 5  # rank changes in a reason
SURE_GAIN = 0.02
PLACES = 10  # of a query that exposure looks at


def data_checks(evidence: GateEvidence, limits: GateSettings) -> list[Check]:
    """Return the checks of the data.

    Enough of it (else inconclusive), nothing foul (else fail), and alarms that change no verdict.
    """
    data, queries = evidence.data, evidence.queries
    checks = [_row("data_minimum", queries, limits)]
    if data is None:
        return [*checks, missing("data", evidence.problems.get("data", "facts of the data"))]
    average = 10 / max(1, data.clients)
    checks += [
        _row("data_clients", data.clients, limits),
        _row("data_pairs", data.pairs, limits),
        _row("data_one_client", data.client_share, limits, most=True, raised=average),
        _row("data_one_query", data.query_share, limits, most=True),
    ]
    if data.received is None or data.refused is None:
        checks.append(missing("data_refused", "counts of received and refused records"))
    else:
        checks.append(
            _refused(data.refused / data.received if data.received else 0.0, data.volume_ratio, limits)
        )
    alarms = [
        _alarm("drift_category", data.category_shift, limits),
        _alarm("drift_length", data.length_shift, limits),
        _alarm("drift_volume", data.volume_ratio, limits),
    ]
    return [*checks, *alarms]


def exposure_checks(evidence: GateEvidence, limits: GateSettings, vs_live: Check) -> list[Check]:
    """Return the checks of diversity.

    A model that shows ever fewer products teaches the next one to show even fewer. A sure gain turns a breach
    into an alarm: the first trained model shows what shoppers want more often than a pretrained one does.
    """
    candidate, live = evidence.exposure.get("candidate"), evidence.exposure.get("live")
    if candidate is None or live is None:
        return [missing("diversity", "what candidate and live show", baseline="live")]
    gained = _sure_gain(vs_live)
    checks = []
    for name, ours, theirs in (
        ("diversity_coverage", candidate.coverage, live.coverage),
        ("diversity_new_products", candidate.new, live.new),
    ):
        share = GATE_ROWS[name].limit_by(limits)
        told = GATE_ROWS[name].told(limit=share)
        checks.append(
            _against(name, ours, theirs, share * theirs, told, good=ours >= share * theirs, excused=gained)
        )
    checks.append(_new_exposure(evidence, candidate, limits))
    rise = GATE_ROWS["diversity_gini"].limit_by(limits)
    most, told = live.gini + rise, GATE_ROWS["diversity_gini"].told(limit=rise)
    return [
        *checks,
        _against(
            "diversity_gini",
            candidate.gini,
            live.gini,
            most,
            told,
            good=candidate.gini <= most,
            excused=gained,
        ),
    ]


def _new_exposure(evidence: GateEvidence, candidate: Exposure, limits: GateSettings) -> Check:
    """Hold the places of new products against those of the pretrained vectors.

    A fifth less of live's, again and again, is nothing in the end; and no gain on what is known excuses it.
    """
    row, untaught = GATE_ROWS["guard_new_exposure"], evidence.exposure.get(UNTAUGHT)
    if untaught is None:
        return missing(row.name, f"what {UNTAUGHT} shows", baseline=UNTAUGHT)
    share, told = row.limit_by(limits), row.told(limit=row.limit_by(limits))
    least, good = share * untaught.new, candidate.new >= share * untaught.new
    if untaught.new * PLACES * evidence.queries < limits.gate_min_segment_queries:
        told, good = f"reported only: fewer than {limits.gate_min_segment_queries} such places", True
    check = _against(row.name, candidate.new, untaught.new, least, told, good=good, excused=False)
    return check.model_copy(update={"baseline": UNTAUGHT})


def churn_check(evidence: GateEvidence, limits: GateSettings, vs_live: Check) -> Check:
    """Return the check of how much changes for shoppers: a person should look, unless the gain is large."""
    if evidence.overlap is None:
        return missing("churn", "the first ten of candidate and live", baseline="live")
    least = GATE_ROWS["churn"].limit_by(limits)
    good = evidence.overlap >= least or _sure_gain(vs_live)
    reason = GATE_ROWS["churn"].told(limit=least, sure_gain=SURE_GAIN)
    return Check(
        name="churn", verdict="pass" if good else "inconclusive", reason=reason, baseline="live",
        candidate_value=evidence.overlap, n=evidence.queries, threshold=least,
    )  # fmt: skip


def pinned_check(evidence: GateEvidence) -> Check:
    """Return the check of the queries that an operator has pinned; without any it passes."""
    if evidence.pinned is None:
        return missing("pinned", evidence.problems.get("pinned", "pinned queries"))
    broken = [p for p in evidence.pinned if p.missing]
    told = "; ".join(f"{p.query!r} has not {', '.join(p.missing)} in its first {p.k}" for p in broken[:5])
    reason = told or ("all pinned queries hold" if evidence.pinned else "no query is pinned")
    return Check(
        name="pinned",
        verdict="fail" if broken else "pass",
        reason=reason,
        candidate_value=len(broken),
        n=len(evidence.pinned),
    )


def rank_changes_check(evidence: GateEvidence) -> Check:
    """Return the row of the pairs by which most changed.

    An alarm where their clients are hardly believed, and never a veto. It is kept for ever, so it names
    queries by their digests; ``rank_changes.parquet`` and the report of the run hold the texts.
    """
    changes = evidence.rank_changes
    doubtful = [change for change in changes if change.doubtful]
    shown = doubtful_first(changes)[:NAMED]
    told = "; ".join(
        f"query {digest_of(c.query)}, product {c.product_id} from "
        f"{'beyond 10' if c.before > 10 else c.before} to {c.after}: "
        f"{c.clients} clients, {c.believed:.0%} of their credit believed"
        for c in shown
    )
    return Check(
        name="rank_changes",
        verdict="pass",
        reason=f"{'ALARM: ' if doubtful else ''}"
        f"{GATE_ROWS['rank_changes'].told(count=len(changes), told=f': {told}' if told else '')}",
        baseline="live",
        candidate_value=len(doubtful),
        n=len(changes),
        alarm=bool(doubtful),
    )


def _refused(share: float, volume: float | None, limits: GateSettings) -> Check:
    """Refused records fail a run where what was accepted has become less too.

    Whoever only sends garbage beside it holds up nobody.
    """
    row = _row("data_refused", share, limits, most=True)
    if row.verdict == "pass" or volume is None or volume < MIN_VOLUME_BESIDE_GARBAGE:
        return row
    told = f"ALARM: {row.reason}; what was accepted is {volume:.2f} of what it was"
    return row.model_copy(update={"verdict": "pass", "alarm": True, "reason": told})


def _row(name: str, value: float, limits: GateSettings, *, most: bool = False, raised: float = 0.0) -> Check:
    """Hold a value against the limit of its row, or against what the limit is ``raised`` to."""
    row = GATE_ROWS[name]
    threshold = max(row.limit_by(limits), raised)
    good = value <= threshold if most else value >= threshold
    return Check(
        name=name,
        verdict="pass" if good else row.breach[0],
        reason=f"{value:.4g} {row.told()} {threshold:.4g}",
        candidate_value=value,
        threshold=threshold,
    )


def _alarm(name: str, value: float | None, limits: GateSettings) -> Check:
    threshold = GATE_ROWS[name].limit_by(limits)
    low = name == "drift_volume"
    alarm = value is not None and (value > threshold or (low and value < 1 / threshold))
    told = "not known" if value is None else f"{'ALARM: ' if alarm else ''}{GATE_ROWS[name].told()}"
    return Check(
        name=name, verdict="pass", reason=told, candidate_value=value, threshold=threshold, alarm=alarm
    )


def _against(
    name: str, ours: float, theirs: float, threshold: float, reason: str, *, good: bool, excused: bool
) -> Check:
    verdict: Verdict = "pass" if good or excused else "fail"
    told = reason if good or not excused else f"ALARM, excused by a sure gain above {SURE_GAIN}: {reason}"
    return Check(
        name=name, verdict=verdict, reason=told, baseline="live", candidate_value=ours, baseline_value=theirs,
        delta=ours - theirs, threshold=threshold, alarm=excused and not good,
    )  # fmt: skip


def _sure_gain(vs_live: Check) -> bool:
    return vs_live.ci_low is not None and vs_live.ci_low > SURE_GAIN

"""The rows of a refresh's gate: is its data sound, what does the fitted ranking do, how much changes. Pure.

A refresh trains nothing, so what judges a model has no rows here. ``docs/gate.md`` lists them with reasons.
"""

from collections.abc import Sequence

import numpy as np

from schemas.settings import GateSettings
from schemas.training import Check
from trainer.evaluation.fusion import MIN_QUERIES, Fitted
from trainer.evaluation.segments import GUARDED
from trainer.gate.comparison import Rule, judge
from trainer.gate.evidence import GateEvidence
from trainer.gate.gate_rows import EITHER, GateRow
from trainer.gate.relevance_checks import catastrophes_check, segment_rules
from trainer.gate.side_checks import churn_check, data_checks, exposure_checks, pinned_check

_REFIT = GateRow(
    "refit_vs_live",
    EITHER,
    "the lower bound of the gain against live's ranking is above {limit}",
    "gate_min_gain",
)
# All others are rows of a run's gate, too
REFRESH_ROWS = frozenset(
    {
        "data_one_client", "data_refused", _REFIT.name, "catastrophes", "diversity_new_products",
        "segment_NAME", "pinned", "churn",
    }
)  # fmt: skip
_DATA = ("data", "data_one_client", "data_refused")
KEPT = "ranking_kept"


def refit_checks(evidence: GateEvidence, fitted: Fitted, limits: GateSettings) -> list[Check]:
    """Return what the fitted ranking, coefficients and ranker, does to the test queries beside live's.

    One row that does not pass, and live's is kept: then there is a single check, which says why. ``fitted``:
    the coefficients.
    """
    if fitted.queries < MIN_QUERIES:
        return [ranking_kept(f"{fitted.queries} validation queries are too few to fit anything")]
    against = _vs_live(evidence, limits)
    shown = [c for c in exposure_checks(evidence, limits, against) if c.name in REFRESH_ROWS]
    checks = [against, *_groups(evidence, limits), catastrophes_check(evidence, limits), *shown]
    bad = [f"{c.name}: {c.reason}" for c in checks if c.verdict != "pass"]
    return [ranking_kept("; ".join(bad))] if bad else checks


def ranking_kept(why: str) -> Check:
    """Return the check that stands where coefficients and ranker stay those of live."""
    return Check(name=KEPT, verdict="pass", reason=f"live's ranking is kept: {why}"[:500])


def kept(checks: Sequence[Check]) -> bool:
    """Say whether coefficients and ranker stay those of live."""
    return any(check.name == KEPT for check in checks)


def refresh_checks(evidence: GateEvidence, limits: GateSettings, fitted: Sequence[Check]) -> list[Check]:
    """Return the checks of the data, the pinned queries, and of how much changes for shoppers.

    ``fitted`` are those of the fitted ranking: a sure gain is a reason for change.
    """
    checks = [c for c in data_checks(evidence, limits) if c.name in _DATA]
    if "live" in evidence.problems:  # then something must be served in its place, and there is no overlap
        churn = Check(name="churn", verdict="pass", reason=evidence.problems["live"][:500], alarm=True)
    else:
        churn = churn_check(evidence, limits, fitted[0])
    return [*checks, pinned_check(evidence), churn]


def _vs_live(evidence: GateEvidence, limits: GateSettings) -> Check:
    least = _REFIT.limit_by(limits)
    rule = Rule(
        _REFIT.name,
        _REFIT.told(limit=least),
        evidence.ndcg10["candidate"],
        evidence.ndcg10["live"],
        np.ones(evidence.queries),
        floor=least,
        otherwise="inconclusive",
        threshold=least,
    )
    return _judged([rule], evidence, limits)[0]


def _groups(evidence: GateEvidence, limits: GateSettings) -> list[Check]:
    """Return the checks of what learning tends to hurt: it is what a memory that weighs more buries."""
    rules = segment_rules(evidence, limits, [name for name in GUARDED if name in evidence.segments])
    return _judged(rules, evidence, limits)


def _judged(rules: Sequence[Rule], evidence: GateEvidence, limits: GateSettings) -> list[Check]:
    clusters = evidence.clusters
    return judge(rules, clusters=clusters, resamples=limits.gate_resamples, seed=limits.seed)

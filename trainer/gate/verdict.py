"""Say whether a candidate may serve: pass, fail or inconclusive, with every number. Pure.

All rules run, so that one report shows all of them. A baseline or a metric that is missing is a fail with a
reason, never a pass. The rows are declared in ``gate_rows`` and decided in ``relevance_checks``,
``artefact_checks`` and ``side_checks``; the reasons stand in ``docs/gate.md``.
"""

from collections.abc import Sequence

import numpy as np

from schemas.settings import GateSettings
from schemas.training import Check, Score
from trainer.evaluation.bootstrap import interval, resampled_means
from trainer.gate.artefact_checks import artefact_checks
from trainer.gate.evidence import GateEvidence, Verdict
from trainer.gate.relevance_checks import relevance_checks
from trainer.gate.side_checks import (
    churn_check,
    data_checks,
    exposure_checks,
    pinned_check,
    rank_changes_check,
)


def decide(evidence: GateEvidence, limits: GateSettings) -> tuple[Verdict, list[Check]]:
    """Return the verdict and one check per rule.

    Fail if any fails, else inconclusive if any is, else pass.
    """
    relevance = relevance_checks(evidence, limits)
    checks = [
        *data_checks(evidence, limits),
        *artefact_checks(evidence, limits),
        *relevance,
        pinned_check(evidence),
    ]
    checks += [
        *exposure_checks(evidence, limits, relevance[0]),
        churn_check(evidence, limits, relevance[0]),
        rank_changes_check(evidence),
    ]
    return overall(checks), checks


def overall(checks: Sequence[Check]) -> Verdict:
    """Return the verdict of all checks together; no checks at all are a fail."""
    verdicts = {check.verdict for check in checks} or {"fail"}
    return "fail" if "fail" in verdicts else "inconclusive" if "inconclusive" in verdicts else "pass"


def scores(evidence: GateEvidence, limits: GateSettings) -> dict[str, dict[str, Score]]:
    """Return per system and segment the mean nDCG@10 with its 95 % interval; empty segments are left out."""
    systems = sorted(evidence.ndcg10)
    out: dict[str, dict[str, Score]] = {system: {} for system in systems}
    for number, (segment, mask) in enumerate(sorted(evidence.segments.items())):
        n = int(mask.sum())
        if n and systems:
            values = np.stack([evidence.ndcg10[s][mask] for s in systems], axis=1)
            means = resampled_means(values, resamples=limits.gate_resamples, seed=limits.seed + number)
            for column, system in enumerate(systems):
                low, high = interval(means[:, column], 0.025)
                out[system][segment] = Score(
                    mean=float(values[:, column].mean()), ci_low=low, ci_high=high, n=n
                )
    return out

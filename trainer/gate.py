"""Say whether a candidate may serve: pass, fail or inconclusive, with every number. Pure.

All rules run, so that one report shows all of them. A baseline or a metric that is missing is a fail with a reason, never a pass.
Differences are of nDCG@10, paired by query; intervals are bootstrap quantiles with a fixed seed. Knows no model, file or topic.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from schemas.settings import TrainerSettings
from schemas.training import Check, Score
from trainer.artefact import Artefact
from trainer.bootstrap import Floats, interval, resampled_means

Verdict = Literal["pass", "fail", "inconclusive"]
Bools = npt.NDArray[np.bool_]

ALPHA = 0.05  # one-sided
MIN_SEGMENT = 50
SEGMENT_LOSS = 0.01
MAX_NORM_ERROR = 1e-3
MIN_PARITY = 0.9999
MAX_MEAN_COSINE = 0.9
MAX_COSINE_RISE = 0.1
MIN_RANK_SHARE = 0.5
ARTEFACT = "artefact"


@dataclass(frozen=True)
class Limits:
    """The configured thresholds; see ``TrainerSettings`` for their meaning."""

    min_eval_queries: int
    min_gain: float
    max_loss_base: float
    max_catastrophes: float
    resamples: int
    seed: int

    @classmethod
    def of(cls, settings: TrainerSettings) -> "Limits":
        """Take the limits from the settings."""
        return cls(
            settings.min_eval_queries,
            settings.gate_min_gain,
            settings.gate_max_loss_base,
            settings.gate_max_catastrophes,
            settings.gate_resamples,
            settings.seed,
        )


@dataclass(frozen=True)
class Evidence:
    """What was measured, by system (candidate, live, base, bm25, ...): arrays (queries,) in one common order.

    ``segments`` are masks (queries,) by name; ``problems`` say why a system has no numbers.
    """

    ndcg10: Mapping[str, Floats]
    best_in_10: Mapping[str, Bools]
    segments: Mapping[str, Bools]
    artefacts: Mapping[str, Artefact]
    problems: Mapping[str, str]


def decide(evidence: Evidence, limits: Limits) -> tuple[Verdict, list[Check]]:
    """Return the verdict and one check per rule: fail if any fails, else inconclusive if any is, else pass."""
    queries = len(next(iter(evidence.ndcg10.values()), ()))
    checks = [_data(queries, limits), *_artefact(evidence), _against_live(evidence, limits), _against_base(evidence, limits)]
    checks += [_against_bm25(evidence, limits), *_segments(evidence, limits), _catastrophes(evidence, limits)]
    return overall(checks), checks


def overall(checks: list[Check]) -> Verdict:
    """Return the verdict of all checks together; no checks at all are a fail."""
    verdicts = {check.verdict for check in checks} or {"fail"}
    return "fail" if "fail" in verdicts else "inconclusive" if "inconclusive" in verdicts else "pass"


def sound(checks: list[Check]) -> bool:
    """Say whether every artefact check passed: the least that a forced promotion needs."""
    own = [check for check in checks if check.name.startswith(ARTEFACT)]
    return bool(own) and all(check.verdict == "pass" for check in own)


def scores(evidence: Evidence, limits: Limits) -> dict[str, dict[str, Score]]:
    """Return per system and segment the mean nDCG@10 with its 95 % interval; empty segments are left out."""
    systems = sorted(evidence.ndcg10)
    out: dict[str, dict[str, Score]] = {system: {} for system in systems}
    for number, (segment, mask) in enumerate(sorted(evidence.segments.items())):
        n = int(mask.sum())
        if n and systems:
            values = np.stack([evidence.ndcg10[s][mask] for s in systems], axis=1)
            means = resampled_means(values, resamples=limits.resamples, seed=limits.seed + number)
            for column, system in enumerate(systems):
                low, high = interval(means[:, column], 0.025)
                out[system][segment] = Score(mean=float(values[:, column].mean()), ci_low=low, ci_high=high, n=n)
    return out


def _data(queries: int, limits: Limits) -> Check:
    least = limits.min_eval_queries
    reason = f"{queries} test queries, at least {least} are needed"
    return Check(name="data_minimum", verdict="pass" if queries >= least else "inconclusive", reason=reason, n=queries, threshold=least)


def _artefact(evidence: Evidence) -> list[Check]:
    found, live, base = (evidence.artefacts.get(s) for s in ("candidate", "live", "base"))
    if found is None:
        return [Check(name=ARTEFACT, verdict="fail", reason=evidence.problems.get("candidate", "the candidate was not examined"))]

    def rule(name: str, value: float, threshold: float, *, good: bool, reason: str, against: float | None = None) -> Check:
        return Check(
            name=f"{ARTEFACT}_{name}",
            verdict="pass" if good else "fail",
            reason=reason,
            candidate_value=value,
            baseline_value=against,
            baseline="live" if against is not None else None,
            threshold=threshold,
        )

    dims = sorted({other.dim for other in (live, base) if other})
    checks = [
        rule("finite", float(found.finite), 1.0, good=found.finite, reason="all vectors are finite numbers"),
        rule("dim", found.dim, dims[0] if dims else 0, good=found.dim in dims, reason=f"the dimension is one of {dims}"),
        rule("unit_norm", found.norm_error, MAX_NORM_ERROR, good=found.norm_error <= MAX_NORM_ERROR, reason="vectors have length 1"),
        rule("parity", found.parity, MIN_PARITY, good=found.parity >= MIN_PARITY, reason="a text alone and in a batch get one vector"),
    ]
    if live is None:
        return [
            *checks,
            Check(name=f"{ARTEFACT}_collapse", verdict="fail", reason=f"live was not examined: {evidence.problems.get('live')}"),
        ]
    limit = min(MAX_MEAN_COSINE, live.mean_cosine + MAX_COSINE_RISE)
    floor = MIN_RANK_SHARE * live.effective_rank
    return [
        *checks,
        rule(
            "collapse_cosine",
            found.mean_cosine,
            limit,
            good=found.mean_cosine <= limit,
            reason="products are as far apart as before",
            against=live.mean_cosine,
        ),
        rule(
            "collapse_rank",
            found.effective_rank,
            floor,
            good=found.effective_rank >= floor,
            reason="the vectors use as many directions as before",
            against=live.effective_rank,
        ),
    ]


def _against_live(evidence: Evidence, limits: Limits) -> Check:
    check = _compare(evidence, limits, "live")
    if check.ci_low is None or check.ci_high is None:
        return check
    passed, lost = check.ci_low > limits.min_gain, check.ci_high < 0
    reason = f"the gain against live must be above {limits.min_gain} with 95 % confidence"
    return _judged(check, passed=passed, lost=lost, reason=reason, threshold=limits.min_gain)


def _against_base(evidence: Evidence, limits: Limits) -> Check:
    check = _compare(evidence, limits, "base")
    if check.ci_low is None or check.ci_high is None:
        return check
    passed, lost = check.ci_low > -limits.max_loss_base, check.ci_high < -limits.max_loss_base
    reason = f"the loss against the untrained model must be below {limits.max_loss_base} with 95 % confidence"
    return _judged(check, passed=passed, lost=lost, reason=reason, threshold=-limits.max_loss_base)


def _against_bm25(evidence: Evidence, limits: Limits) -> Check:
    check = _compare(evidence, limits, "bm25")
    if check.ci_low is None or check.ci_high is None:
        return check
    lost = check.ci_high < 0
    return _judged(
        check, passed=not lost, lost=lost, reason="the candidate must not be worse than BM25 with 95 % confidence", threshold=0.0
    )


def _segments(evidence: Evidence, limits: Limits) -> list[Check]:
    names = sorted(s for s in evidence.segments if s != "all")
    tested = [s for s in names if evidence.segments[s].sum() >= MIN_SEGMENT]
    checks = []
    for number, segment in enumerate(names, 1):
        check = _compare(evidence, limits, "live", segment=segment, tail=ALPHA / max(1, len(tested)), seed=limits.seed + number)
        if check.delta is None or check.ci_high is None:
            unknown = check.n != 0
            checks.append(check.model_copy(update={"verdict": "fail" if unknown else "pass"}))
        elif segment not in tested:
            checks.append(check.model_copy(update={"verdict": "pass", "reason": f"reported only: fewer than {MIN_SEGMENT} queries"}))
        else:
            lost = check.ci_high < 0 and check.delta < -SEGMENT_LOSS
            reason = f"no segment may lose more than {SEGMENT_LOSS} with 95 % confidence over {len(tested)} segments"
            checks.append(_judged(check, passed=not lost, lost=lost, reason=reason, threshold=-SEGMENT_LOSS))
    return checks


def _catastrophes(evidence: Evidence, limits: Limits) -> Check:
    candidate, live = evidence.best_in_10.get("candidate"), evidence.best_in_10.get("live")
    if candidate is None or live is None:
        return Check(name="catastrophes", verdict="fail", reason="missing: best products of candidate and live", baseline="live")
    share = float((live & ~candidate).mean()) if len(live) else 0.0
    return Check(
        name="catastrophes",
        verdict="pass" if share <= limits.max_catastrophes else "fail",
        reason="share of queries whose best product was in live's first ten and is not in the candidate's",
        baseline="live",
        candidate_value=share,
        n=len(live),
        threshold=limits.max_catastrophes,
    )


def _compare(
    evidence: Evidence, limits: Limits, baseline: str, *, segment: str = "all", tail: float = ALPHA, seed: int | None = None
) -> Check:
    """Return the numbers of one comparison, the verdict still open (fail when they are missing, inconclusive without queries)."""
    name = f"vs_{baseline}" if segment == "all" else f"segment_{segment}"
    frame = Check(name=name, verdict="fail", reason="", metric="ndcg10", segment=segment, baseline=baseline)
    mask = evidence.segments.get(segment)
    candidate, other = evidence.ndcg10.get("candidate"), evidence.ndcg10.get(baseline)
    if candidate is None or other is None or mask is None:
        absent = "candidate" if candidate is None else baseline if other is None else segment
        return frame.model_copy(update={"reason": f"missing: {absent}: {evidence.problems.get(absent, 'no numbers')}"})
    a, b = candidate[mask], other[mask]
    if not len(a):
        return frame.model_copy(update={"verdict": "inconclusive", "reason": "no queries", "n": 0})
    if not np.isfinite(a).all() or not np.isfinite(b).all():
        return frame.model_copy(update={"reason": "missing: some values are not numbers", "n": len(a)})
    means = resampled_means((a - b)[:, None], resamples=limits.resamples, seed=limits.seed if seed is None else seed)
    low, high = interval(means[:, 0], tail)
    values = {"candidate_value": float(a.mean()), "baseline_value": float(b.mean()), "delta": float((a - b).mean())}
    return frame.model_copy(update={**values, "ci_low": low, "ci_high": high, "n": len(a)})


def _judged(check: Check, *, passed: bool, lost: bool, reason: str, threshold: float) -> Check:
    verdict: Verdict = "pass" if passed else "fail" if lost else "inconclusive"
    return check.model_copy(update={"verdict": verdict, "reason": reason, "threshold": threshold})

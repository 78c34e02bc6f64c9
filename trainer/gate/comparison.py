"""Paired comparisons of the candidate with a baseline, and what follows from each interval. Pure.

All comparisons of one decision are resampled together. A missing or NaN value fails the check, with its
reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.training import Check
from trainer.evaluation.bootstrap import Floats, Ints, interval, resampled_means
from trainer.gate.evidence import Verdict

ALPHA = 0.05  # one-sided
NEVER = float("-inf")
UNTAUGHT = "base_dense"  # the pretrained model's vectors alone: a score that knows of no engagement


@dataclass(frozen=True)
class Rule:
    """Candidate ``a`` against baseline ``b``, (queries,) each, or None where there are no numbers.

    ``weight`` 0 leaves a query out. In this order: pass when the lower bound is above ``floor``; fail when
    the upper bound is below ``ceiling`` and the mean below ``loss``; inconclusive when the mean is below
    ``least``; else ``otherwise``. ``tail``: the share beyond each bound. ``reported``: tells its numbers and
    passes whatever they are.
    """

    name: str
    reason: str
    a: Floats | None
    b: Floats | None
    weight: Floats | None
    missing: str = ""
    metric: str = "ndcg10"
    segment: str = "all"
    baseline: str = "live"
    tail: float = ALPHA
    floor: float = float("inf")
    ceiling: float = 0.0
    loss: float = 0.0
    least: float = NEVER
    otherwise: Verdict = "pass"
    threshold: float = 0.0
    reported: bool = False
    empty: Verdict = "inconclusive"

    def frame(self, verdict: Verdict, reason: str, n: int | None = None) -> Check:
        """Return the check without numbers."""
        return Check(
            name=self.name,
            verdict=verdict,
            reason=reason,
            metric=self.metric,
            segment=self.segment,
            baseline=self.baseline,
            n=n,
        )


def missing(name: str, what: str, *, baseline: str | None = None) -> Check:
    """Return the check of a row that has no numbers: a fail that says what is missing, never a pass."""
    return Check(name=name, verdict="fail", reason=f"missing: {what}", baseline=baseline)


def judge(rules: Sequence[Rule], *, clusters: Ints | None, resamples: int, seed: int) -> list[Check]:
    """Return one check per rule, in their order."""
    early = [_without_numbers(rule) for rule in rules]
    open_rules = [rule for rule, found in zip(rules, early, strict=True) if found is None]
    if not open_rules:
        return [found for found in early if found is not None]
    used = [_columns(rule) for rule in open_rules]
    values = np.stack([a - b for a, b, _ in used], axis=1)
    weights = np.stack([weight for *_, weight in used], axis=1)
    means = resampled_means(values, resamples=resamples, seed=seed, weights=weights, clusters=clusters)
    answers = iter(
        [
            _answer(rule, *own, means[:, column])
            for column, (rule, own) in enumerate(zip(open_rules, used, strict=True))
        ]
    )
    return [next(answers) if found is None else found for found in early]


def _without_numbers(rule: Rule) -> Check | None:
    if rule.a is None or rule.b is None or rule.weight is None:
        return rule.frame("fail", f"missing: {rule.missing}")
    used = rule.weight > 0
    n = int(used.sum())
    if not n:
        return rule.frame(rule.empty, "no queries", 0)
    if not np.isfinite(rule.a[used]).all() or not np.isfinite(rule.b[used]).all():
        return rule.frame("fail", "missing: some values are not numbers", n)
    return None


def _columns(rule: Rule) -> tuple[Floats, Floats, Floats]:
    assert rule.a is not None
    assert rule.b is not None
    assert rule.weight is not None
    used = rule.weight > 0
    return np.where(used, rule.a, 0.0), np.where(used, rule.b, 0.0), rule.weight.astype(np.float64)


def _answer(rule: Rule, a: Floats, b: Floats, weight: Floats, means: Floats) -> Check:
    low, high = interval(means, rule.tail)
    total = weight.sum()
    ours, theirs = float(a @ weight / total), float(b @ weight / total)
    delta = float((a - b) @ weight / total)
    delta = 0.0 if abs(delta) < 1e-12 else delta
    verdict: Verdict = rule.otherwise
    if rule.reported or low > rule.floor:
        verdict = "pass"
    elif high < rule.ceiling and delta < rule.loss:
        verdict = "fail"
    elif delta < rule.least:
        verdict = "inconclusive"
    numbers = {
        "candidate_value": ours,
        "baseline_value": theirs,
        "delta": delta,
        "ci_low": low,
        "ci_high": high,
        "threshold": rule.threshold,
    }
    return rule.frame(verdict, rule.reason, int((weight > 0).sum())).model_copy(update=numbers)

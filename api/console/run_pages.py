"""A run as a person reads it: the gate's rows, the failing ones first, and what was measured. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.console.figures import Chart, Measured, Whisker, chart, whisker
from schemas.operator_http import EvaluationTold
from schemas.training import Check, Decision, Score

_ORDER = {"fail": 0, "inconclusive": 1, "pass": 2}
_SYSTEMS = ("candidate", "live", "base", "bm25")
_RUNS_SHOWN = 30
ALL = "all"


@dataclass(frozen=True)
class CheckRow:
    """A check, with its interval drawn."""

    check: Check
    figure: Whisker | None
    told: str


@dataclass(frozen=True)
class MeasuredTable:
    """nDCG@10 of each system in each segment; None where it was not measured."""

    segments: list[str]
    rows: list[tuple[str, list[Score | None]]]


def gate_rows(decision: Decision) -> list[CheckRow]:
    """Return the rows of the gate: what fails first, then what is not known, alarms before the rest."""
    checks = sorted(decision.checks, key=lambda c: (_ORDER[c.verdict], not c.alarm, c.name))
    ends = [abs(v) for c in checks for v in (c.ci_low, c.ci_high) if v is not None and abs(v) <= 1]
    reach = max(ends, default=0.0)
    return [CheckRow(c, whisker(c.ci_low, c.delta, c.ci_high, reach), _told(c)) for c in checks]


def measured(decision: Decision) -> MeasuredTable | None:
    """Return what was measured, the whole first; None where nothing was."""
    if not decision.ndcg10:
        return None
    found = {segment for by in decision.ndcg10.values() for segment in by}
    segments = sorted(found, key=lambda s: (s != ALL, s != "unseen", s))[:8]
    rows = [(name, [by.get(segment) for segment in segments]) for name, by in decision.ndcg10.items()]
    return MeasuredTable(segments, rows)


def over_generations(evaluations: Sequence[EvaluationTold]) -> Chart | None:
    """Return nDCG@10 over all test queries of the newest evaluations, which come newest first."""
    whole = [e for e in evaluations if e.kind == "full" and ALL in e.ndcg10.get("candidate", {})]
    shown = whole[:_RUNS_SHOWN][::-1]
    systems = [s for s in _SYSTEMS if shown and all(ALL in e.ndcg10.get(s, {}) for e in shown)]
    return chart(
        {
            system: [
                Measured(f"{e.decision_id} ({e.verdict})", score.mean, score.ci_low, score.ci_high)
                for e in shown
                for score in (e.ndcg10[system][ALL],)
            ]
            for system in systems
        }
    )


def _told(check: Check) -> str:
    if check.delta is None:
        return "" if check.candidate_value is None else f"{check.candidate_value:.3f}"
    if check.ci_low is None or check.ci_high is None:
        return f"{check.delta:+.3f}"
    return f"{check.delta:+.3f} ({check.ci_low:+.3f} to {check.ci_high:+.3f})"

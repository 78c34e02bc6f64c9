"""A run as a person reads it: the gate's rows, the failing ones first, and what was measured. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.console.figures import Chart, Measured, Whisker, chart, spread, whisker
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


@dataclass(frozen=True)
class SegmentRow:
    """nDCG@10 of one system in one segment; ``figure`` is its interval on the scale of them all."""

    segment: str
    system: str
    score: Score
    figure: Whisker


@dataclass(frozen=True)
class QueryMoved:
    """A test query, by the digest of its text, before and after; ``change`` is what nDCG@10 gained."""

    query: str
    told: str
    change: float
    live: list[str]
    candidate: list[str]
    relevant: list[str]


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


def by_segment(decision: Decision) -> list[SegmentRow]:
    """Return the candidate and what it is compared with, segment by segment, the whole first."""
    table = measured(decision)
    found = [
        (segment, system, score)
        for place, segment in enumerate(table.segments if table else [])
        for system, scores in sorted(table.rows if table else [], key=lambda row: _place(row[0]))
        if system in _SYSTEMS and (score := scores[place]) is not None
    ]
    low = min((score.ci_low for *_, score in found), default=0.0)
    high = max((score.ci_high for *_, score in found), default=0.0)
    return [SegmentRow(*one, spread(one[2].ci_low, one[2].mean, one[2].ci_high, low, high)) for one in found]


def moved(decision: Decision) -> list[QueryMoved]:
    """Return the test queries that the decision keeps as examples, the greatest gain first."""
    found = [one for one in map(_moved, decision.examples) if one is not None]
    return sorted(found, key=lambda one: -one.change)


def segments_of(evaluations: Sequence[EvaluationTold]) -> list[str]:
    """Return the segments that every evaluation of a model has measured, the whole first."""
    measured_ones = [set(own) for e in evaluations if (own := e.ndcg10.get("candidate")) and e.kind == "full"]
    common = set.intersection(*measured_ones) if measured_ones else set()
    return sorted(common, key=lambda s: (s != ALL, s != "unseen", s))


def over_generations(evaluations: Sequence[EvaluationTold], segment: str = ALL) -> Chart | None:
    """Return nDCG@10 over a segment's test queries in the newest evaluations, which come newest first."""
    whole = [e for e in evaluations if e.kind == "full" and segment in e.ndcg10.get("candidate", {})]
    shown = whole[:_RUNS_SHOWN][::-1]
    systems = [s for s in _SYSTEMS if shown and all(segment in e.ndcg10.get(s, {}) for e in shown)]
    return chart(
        {
            system: [
                Measured(f"{e.decision_id} ({e.verdict})", score.mean, score.ci_low, score.ci_high)
                for e in shown
                for score in (e.ndcg10[system][segment],)
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


def _place(system: str) -> int:
    return _SYSTEMS.index(system) if system in _SYSTEMS else len(_SYSTEMS)


def _moved(example: Mapping[str, str | list[str]]) -> QueryMoved | None:
    told = example.get("ndcg10", "")
    before, _, after = told.partition(" -> ") if isinstance(told, str) else ("", "", "")
    try:
        change = float(after) - float(before)
    except ValueError:
        return None
    titles = {name: _texts(example.get(name, [])) for name in ("live", "candidate", "relevant")}
    return QueryMoved(str(example.get("query", "")), str(told), change, **titles)


def _texts(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value

"""An evaluation as one HTML page for a person.

Verdict, table, intervals, slices, and queries before and after. How it looks stands in ``report_page.html``,
what it shows is put together here. Self-contained: no script, nothing loaded from anywhere, every text of a
shop escaped. Decides nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pages.templates import templates
from retrieval.ranking import weighed
from schemas.releases import Ranking
from schemas.training import Decision
from trainer.evaluation.files import Evaluation, EvaluationFacts, RankerFacts
from trainer.evaluation.leave_one_out import ALL, REPEATED, UNSEEN
from trainer.evaluation.plots import histogram, intervals
from trainer.evaluation.rank_changes import DEPTH, RankChange, digest_of, doubtful_first
from trainer.evaluation.ranking_metrics import RANKING_METRICS
from trainer.evaluation.summary import QueryChange, Summary, changes, summarise
from trainer.evaluation.what_works import in_words

_MEANING = {
    "candidate": "the model under test, as it would be served",
    "candidate_dense": "its vectors alone",
    "live": "what serves",
    "base": "the pretrained model, served likewise",
    "base_dense": "its vectors alone",
    "rrf": "pretrained model and BM25, fused by rank (RRF)",
    "bm25": "words alone",
    "popularity": "the same products for every query",
}
_Row = Sequence[str]
_Table = tuple[Sequence[str], Sequence[_Row]]
_EXAMPLES = 8
_RISEN = 20


def render(
    evaluation: Evaluation,
    titles: Mapping[str, str],
    *,
    title: str,
    facts: Mapping[str, str],
    decision: Decision | None,
    seed: int,
    risen: Sequence[RankChange] = (),
) -> str:
    """Return the page.

    ``facts`` are shown as they are; ``decision`` None: nothing was judged. An operator's sets follow the main
    test. ``risen``: the pairs by which most changed, whose queries the decision names by their digests.
    """
    before = "live" if "live" in evaluation.results["system"].to_list() else "base"
    sets = {"Test": evaluation} | {f"Judgments: {name}": own for name, own in evaluation.judged.items()}
    return _PAGE.render(
        title=title,
        facts=facts.items(),
        decision=decision,
        checks=_checks(decision) if decision else [],
        risen=_risen(doubtful_first(risen)[:_RISEN], titles),
        before=before,
        tests=[_test(heading, own, titles, before, seed) for heading, own in sets.items()],
    )


def _test(
    heading: str, evaluation: Evaluation, titles: Mapping[str, str], before: str, seed: int
) -> dict[str, object]:
    """Return what the page shows of one set of queries; a table is columns and rows."""
    summary = summarise(evaluation, seed=seed)
    if not summary.queries:
        return {"heading": heading, "queries": 0}
    scores = [
        (name, by["all"].mean, by["all"].ci_low, by["all"].ci_high)
        for name, by in summary.scores.items()
        if "all" in by
    ]
    own = [d for d in summary.differences if (d.ours, d.theirs) == ("candidate", before)]
    changed = changes(evaluation, titles, before=before, after="candidate")
    return {
        "heading": heading,
        "queries": summary.queries,
        "problems": evaluation.facts.problems.items(),
        "in_words": in_words(evaluation.facts.part_gains),
        "part_gains": _part_gains(evaluation.facts),
        "systems": _systems(summary, evaluation.facts),
        "scores": intervals(scores, zero=False, title="nDCG@10 with 95 % intervals"),
        "differences": intervals(
            [(f"{d.segment} (n={d.n})", d.mean, d.low, d.high) for d in own],
            zero=True,
            title=f"nDCG@10, candidate minus {before}",
        ),
        "slices": _slices(summary),
        "histogram": histogram(
            np.array([c.after - c.before for c in changed]), title="how many queries gained and lost how much"
        ),
        "examples": _examples(changed),
    }


def _examples(changed: Sequence[QueryChange]) -> list[tuple[str, Sequence[QueryChange]]]:
    by_traffic = sorted(changed, key=lambda c: (-c.credit, c.query))
    return [
        ("Greatest gains", [c for c in changed if c.after > c.before][:_EXAMPLES]),
        ("Greatest losses", [c for c in reversed(changed) if c.after < c.before][:_EXAMPLES]),
        ("Worst of all", sorted(by_traffic, key=lambda c: c.after)[:_EXAMPLES]),
        ("Best of all, by traffic", sorted(by_traffic, key=lambda c: -c.after)[:_EXAMPLES]),
    ]


def _checks(decision: Decision) -> list[_Row]:
    return [
        (
            c.name,
            c.verdict,
            "" if c.delta is None else f"{c.delta:+.4f}",
            "" if c.ci_low is None else f"{c.ci_low:+.4f} to {c.ci_high:+.4f}",
            c.reason,
        )
        for c in decision.checks
    ]


def _risen(shown: Sequence[RankChange], titles: Mapping[str, str]) -> list[_Row]:
    return [
        (
            digest_of(c.query),
            c.query,
            f"{titles.get(c.product_id, '')} ({c.product_id})",
            "beyond 10" if c.before > DEPTH else str(c.before),
            str(c.after),
            str(c.clients),
            f"{c.believed:.0%}",
        )
        for c in shown
    ]


def _systems(summary: Summary, facts: EvaluationFacts) -> _Table:
    rows: list[_Row] = []
    rankings = facts.rankings
    others = [m for m in RANKING_METRICS[1:] if all(m.name in means for means in summary.means.values())]
    for system, means in summary.means.items():
        added = "".join(
            f", {name} at {rankings[system].coefficients[name]:g}" for name in _added(rankings, system)
        ) + _ranker(facts.rankers.get(system))
        score = summary.scores[system].get("all")
        spread = f"{score.ci_low:.3f} to {score.ci_high:.3f}" if score else ""
        rows.append(
            (
                system,
                _MEANING.get(system, "") + added,
                f"{means['ndcg10']:.3f}",
                spread,
                *(f"{means[m.name]:.3f}" for m in others),
            )
        )
    return ["system", "", "nDCG@10", "95 % interval", *(m.title for m in others)], rows


def _part_gains(facts: EvaluationFacts) -> _Table:
    """Return what each part adds, the greatest first."""
    candidate = facts.rankings.get("candidate", Ranking())
    measured = [(part, by) for part, by in facts.part_gains.items() if ALL in by]
    by_gain = sorted(measured, key=lambda one: (-one[1][ALL].mean, one[0]))
    rows = [
        (
            part,
            f"{candidate.coefficients[part]:g}" if part in candidate.coefficients else "",
            *(
                f"{by[g].mean:+.4f}, {by[g].ci_low:+.4f} to {by[g].ci_high:+.4f}" if g in by else ""
                for g in (ALL, REPEATED, UNSEEN)
            ),
        )
        for part, by in by_gain
    ]
    return [
        "part",
        "coefficient",
        "adds to nDCG@10 (95 % interval)",
        "on repeated queries",
        "on unseen",
    ], rows


def _added(rankings: Mapping[str, Ranking], system: str) -> list[str]:
    return weighed(rankings[system]) if system in rankings else []


def _ranker(found: RankerFacts | None) -> str:
    """Return in words what a ranker gained on queries that it was not fitted on."""
    if found is None or found.gain is None:
        return ""
    said = f"{found.gain:+.4f}, standard error {found.error:.4f}, on {found.queries} validation queries"
    return f"; the ranker gained {said}" if found.kept else f"; without a ranker: it gained {said}"


def _slices(summary: Summary) -> _Table:
    systems = list(summary.scores)
    segments = list(next(iter(summary.scores.values())))
    rows = [
        (
            segment,
            str(summary.scores[systems[0]][segment].n),
            *(f"{summary.scores[system][segment].mean:.3f}" for system in systems),
        )
        for segment in segments
    ]
    return ["nDCG@10", "queries", *systems], rows


def _cell_class(text: str) -> str:
    """Return the class of a cell: numbers stand to the right, verdicts have their colour."""
    if text[:1] in "+-0123456789":
        return "n"
    return text if text in {"pass", "fail", "inconclusive"} else ""


_PAGE = templates(Path(__file__).parent, cell_class=_cell_class).get_template("report_page.html")

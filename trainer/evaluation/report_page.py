"""An evaluation as one HTML page for a person.

Verdict, table, intervals, slices, and queries before and after. Self-contained: no script, nothing loaded
from anywhere, every text of a shop escaped. Decides nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np

from schemas.training import Decision
from trainer.evaluation.files import Evaluation
from trainer.evaluation.plots import histogram, intervals
from trainer.evaluation.rank_changes import DEPTH, RankChange, digest_of, doubtful_first
from trainer.evaluation.ranking_metrics import RANKING_METRICS
from trainer.evaluation.summary import Change, Summary, changes, summarise

_MEANING = {
    "candidate": "the model under test, alone",
    "hybrid": "the same model with BM25, weighed on held-out queries",
    "live": "the model that serves",
    "base": "the pretrained model",
    "base_hybrid": "the pretrained model with BM25, weighted likewise",
    "rrf": "pretrained model and BM25, fused by rank (RRF)",
    "bm25": "words alone",
    "popularity": "the same products for every query",
}
_EXAMPLES = 8
_RISEN = 20
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; \
color: #222; background: #fff }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem }
th, td { padding: .2rem .6rem; text-align: left; vertical-align: top }
th { border-bottom: 2px solid #999 } td { border-bottom: 1px solid #ddd } \
td.n { text-align: right; font-variant-numeric: tabular-nums }
svg { width: 100%; height: auto; margin-bottom: 1rem } \
svg text { font: 12px system-ui, sans-serif; fill: #444 }
line.grid { stroke: #e5e5e5 } line.zero { stroke: #999 } line.point { stroke: #456; stroke-width: 2 } \
circle.point { fill: #456 }
line.gain { stroke: #17803d; stroke-width: 2 } line.loss { stroke: #b3261e; stroke-width: 2 } \
.gain { fill: #17803d }
.loss { fill: #b3261e } .pass { color: #17803d } .fail { color: #b3261e } \
.inconclusive, .forced { color: #8a6100 }
ol { margin: 0; padding-left: 1.2rem } .dim { color: #777 }
"""


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
    parts = [f"<h1>{escape(title)}</h1>", _table([], [(name, value) for name, value in facts.items()])]
    if decision is not None:
        parts.append(_verdict(decision))
    if risen:
        parts.append(_risen(doubtful_first(risen)[:_RISEN], titles))
    parts += _test("Test", evaluation, titles, before, seed)
    for name, own in evaluation.judged.items():
        parts += _test(f"Judgments: {name}", own, titles, before, seed)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        '<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f'content="{policy}"><title>{escape(title)}</title>'
    )
    return (
        "<!doctype html>\n<html "
        f'lang="en"><head>{head}<style>{_STYLE}</style></head><body>{"".join(parts)}</body></html>\n'
    )


def _test(
    heading: str, evaluation: Evaluation, titles: Mapping[str, str], before: str, seed: int
) -> Iterable[str]:
    summary = summarise(evaluation, seed=seed)
    yield f"<h2>{escape(heading)}: {summary.queries} queries</h2>"
    if not summary.queries:
        yield "<p>There is nothing to score.</p>"
        return
    for system, problem in evaluation.facts.problems.items():
        yield f'<p class="fail">{escape(system)} was not scored: {escape(problem)}</p>'
    yield _systems(summary, evaluation.facts.words)
    rows = [
        (name, by["all"].mean, by["all"].ci_low, by["all"].ci_high)
        for name, by in summary.scores.items()
        if "all" in by
    ]
    yield intervals(rows, zero=False, title="nDCG@10 with 95 % intervals")
    yield f"<h3>candidate minus {before}, by group of queries</h3>"
    own = [d for d in summary.differences if (d.ours, d.theirs) == ("candidate", before)]
    yield intervals(
        [(f"{d.segment} (n={d.n})", d.mean, d.low, d.high) for d in own],
        zero=True,
        title=f"nDCG@10, candidate minus {before}",
    )
    yield _slices(summary)
    changed = changes(evaluation, titles, before=before, after="candidate")
    yield f"<h3>Change of each query against {before}</h3>"
    yield histogram(
        np.array([c.after - c.before for c in changed]), title="how many queries gained and lost how much"
    )
    yield _examples("Greatest gains", [c for c in changed if c.after > c.before][:_EXAMPLES], before)
    yield _examples(
        "Greatest losses", [c for c in reversed(changed) if c.after < c.before][:_EXAMPLES], before
    )
    ordered = sorted(changed, key=lambda c: (c.after, -c.credit, c.query))
    yield _examples("Worst of all", ordered[:_EXAMPLES], before)
    yield _examples(
        "Best of all, by traffic",
        sorted(changed, key=lambda c: (-c.after, -c.credit, c.query))[:_EXAMPLES],
        before,
    )


def _verdict(decision: Decision) -> str:
    rows = [
        (
            c.name,
            c.verdict,
            "" if c.delta is None else f"{c.delta:+.4f}",
            "" if c.ci_low is None else f"{c.ci_low:+.4f} to {c.ci_high:+.4f}",
            c.reason,
        )
        for c in decision.checks
    ]
    heading = f'<h2>Verdict: <span class="{escape(decision.verdict)}">{escape(decision.verdict)}</span></h2>'
    return heading + _table(["check", "verdict", "difference", "95 % interval", "rule"], rows)


def _risen(shown: Sequence[RankChange], titles: Mapping[str, str]) -> str:
    rows = [
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
    columns = ["digest", "query", "product", "rank before", "rank now", "clients", "credit believed"]
    return f"<h3>Trained pairs that rose most</h3>{_table(columns, rows)}"


def _systems(summary: Summary, words: Mapping[str, float]) -> str:
    rows, others = (
        [],
        [m for m in RANKING_METRICS[1:] if all(m.name in means for means in summary.means.values())],
    )
    for system, means in summary.means.items():
        added = f", BM25 at {words[system]:g}" if system in words else ""
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
    return _table(["system", "", "nDCG@10", "95 % interval", *(m.title for m in others)], rows)


def _slices(summary: Summary) -> str:
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
    return _table(["nDCG@10", "queries", *systems], rows)


def _examples(heading: str, chosen: Sequence[Change], before: str) -> str:
    if not chosen:
        return ""
    rows = "".join(
        f"<tr><td>{escape(c.query)}<br><span class=dim>{c.before:.3f} to {c.after:.3f}</span></td>"
        f"<td>{_list(c.top_before)}</td><td>{_list(c.top_after)}</td><td>{_list(c.relevant)}</td></tr>"
        for c in chosen
    )
    head = f"<tr><th>query</th><th>{before}</th><th>candidate</th><th>what shoppers wanted</th></tr>"
    return f"<h3>{escape(heading)}</h3><table>{head}{rows}</table>"


def _list(texts: Sequence[str]) -> str:
    return f"<ol>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ol>"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = f"<tr>{''.join(f'<th>{escape(column)}</th>' for column in columns)}</tr>" if columns else ""
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"


def _cell(text: str) -> str:
    kind = (
        ' class="n"'
        if text[:1] in "+-0123456789"
        else f' class="{text}"'
        if text in {"pass", "fail", "inconclusive"}
        else ""
    )
    return f"<td{kind}>{escape(text)}</td>"

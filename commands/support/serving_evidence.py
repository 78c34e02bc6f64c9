"""What served at a moment and why, and what a decision rests on, as an operator reads it."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from rich.text import Text

from commands.support.session import find_settings, out, show_json, stop, table
from commands.support.topic_state import read_decisions
from operations.moments import MomentError, moment, serving_at
from schemas.training import Check, Decision, Score
from trainer.evaluation.leave_one_out import ALL, REPEATED, UNSEEN
from trainer.evaluation.what_works import in_words


def asked_moment(text: str | None) -> datetime | None:
    """Return the moment that ``--at`` names, None for none.

    Ends the command when it names none that can be read.
    """
    try:
        return None if text is None else moment(text)
    except MomentError as error:
        stop(str(error), code=2)


def show_moment(at: str, *, data_dir: Path | None, as_json: bool, evidence: bool) -> None:
    """Say which generation served at a moment, who or what promoted it and why.

    With ``evidence`` the gate's decision too.
    """
    asked = asked_moment(at)
    assert asked is not None
    served = serving_at(asyncio.run(read_decisions(find_settings(data_dir))), asked)
    if served is None:
        stop(f"nothing served yet at {asked.isoformat()}")
    if as_json:
        whole = served.evidence.model_dump(mode="json") if served.evidence and evidence else None
        show_json({**served.facts(), **({"decision": whole} if evidence else {})})
        return
    until = f"to {served.until.isoformat()}" if served.until else "until now"
    told = (
        f"generation {served.generation} served at {asked.isoformat()}: from {served.since.isoformat()} "
        f"{until}"
    )
    out.print(
        f"{told}, by {served.actor}: {served.cause}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if served.evidence is None:
        out.print(
            "no gate judged it: it was the first generation, or one that had served before", highlight=False
        )
    elif evidence:
        show_decision(served.evidence)
    else:
        out.print(
            (
                f"evidence: {served.evidence.verdict} of run {served.run_id}; `searchloop explain "
                f"{served.run_id}` tells"
            ),
            highlight=False,
        )


def _delta(check: Check) -> str:
    if check.delta is None:
        return "" if check.candidate_value is None else f"{check.candidate_value:.3f}"
    interval = (
        ""
        if check.ci_low is None or check.ci_high is None
        else f" [{check.ci_low:+.3f}, {check.ci_high:+.3f}]"
    )
    return f"{check.delta:+.3f}{interval}"


def show_decision(decision: Decision) -> None:
    """Print the evaluation table, the checks and the verdict of one decision."""
    if decision.ndcg10:
        segments = sorted(
            {s for by in decision.ndcg10.values() for s in by}, key=lambda s: (s != "all", s != "unseen", s)
        )[:4]
        rows = [
            (
                system,
                *(
                    f"{by[s].mean:.3f} [{by[s].ci_low:.3f}, {by[s].ci_high:.3f}] n={by[s].n}"
                    if s in by
                    else None
                    for s in segments
                ),
            )
            for system, by in decision.ndcg10.items()
        ]
        table("nDCG@10 over the whole catalogue, with 95 % intervals", ["system", *segments], rows)
    show_part_gains(decision.part_gains)
    if decision.checks:
        table(
            "gate",
            ["check", "verdict", "delta", "reason"],
            [(c.name, c.verdict, _delta(c), c.reason) for c in decision.checks],
        )
    out.print(Text.assemble((decision.verdict, "bold"), f"  {'; '.join(decision.reasons)}"))


def show_part_gains(gains: Mapping[str, Mapping[str, Score]]) -> None:
    """Print what each part of a score adds, and in words what works in this shop; nothing for nothing."""
    if not gains:
        return
    groups = [group for group in (ALL, REPEATED, UNSEEN) if any(group in by for by in gains.values())]
    rows = [
        (
            part,
            *(
                f"{by[g].mean:+.3f} [{by[g].ci_low:+.3f}, {by[g].ci_high:+.3f}] n={by[g].n}"
                if g in by
                else None
                for g in groups
            ),
        )
        for part, by in gains.items()
    ]
    table("what nDCG@10 loses without each part, with 95 % intervals", ["part", *groups], rows)
    out.print(in_words(gains), highlight=False, soft_wrap=True)


def part_gains_as_json(gains: Mapping[str, Mapping[str, Score]]) -> dict[str, object]:
    """Return what ``show_part_gains`` prints, as JSON values."""
    told = {part: {group: score.model_dump() for group, score in by.items()} for part, by in gains.items()}
    return {"part_gains": told, "in_words": in_words(gains)}

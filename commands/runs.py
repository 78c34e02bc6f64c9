"""``runs``: the training runs, now or as they stood at a moment."""

import asyncio
from datetime import datetime
from pathlib import Path

from commands.support.kept_evidence import report_page
from commands.support.serving_evidence import asked_moment, part_gains_as_json, show_part_gains
from commands.support.session import find_settings, out, show_json, stop, table
from commands.support.topic_state import read_decisions, read_runs
from operations.moments import runs_at
from schemas.settings import Settings
from schemas.training import Score, TrainingRun


def runs(run_id: str | None, *, at: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List the runs, or show one; with ``at`` as they stood at a moment."""
    asked = asked_moment(at)
    settings = find_settings(data_dir)
    found = asyncio.run(read_runs(settings))
    if asked is not None:
        _runs_at(found, asked, as_json=as_json)
        return
    if run_id is not None:
        found = [r for r in found if r.run_id == run_id]
        if not found:
            stop(f"no run {run_id!r}; `searchloop runs` lists them")
    # Of one run also from the store; of all of them only what is on this machine is looked at
    page = report_page(found[0], settings) if run_id is not None else None
    gains = {} if run_id is None else asyncio.run(_part_gains(settings, run_id))
    if as_json:
        own = {} if run_id is None else part_gains_as_json(gains)
        show_json(
            [
                r.model_dump(mode="json")
                | ({} if run_id is None else {"page": str(page) if page else None})
                | own
                for r in found
            ]
        )
        return
    rows = [
        (
            r.run_id,
            r.kind,
            r.state.value,
            r.verdict,
            r.pairs,
            r.generation,
            r.error.message if r.error else r.detail,
        )
        for r in found
    ]
    table("training runs", ["run", "kind", "state", "verdict", "pairs", "generation", "detail"], rows)
    show_part_gains(gains)
    if page is not None:
        out.print(f"report: {page}", highlight=False, soft_wrap=True)


async def _part_gains(settings: Settings, run_id: str) -> dict[str, dict[str, Score]]:
    """Return what each part of the run's candidate adds, by its decision; nothing where it came to none."""
    decisions = [d for d in await read_decisions(settings) if d.decision_id == run_id]
    return decisions[-1].part_gains if decisions else {}


def _runs_at(found: list[TrainingRun], at: datetime, *, as_json: bool) -> None:
    then = runs_at(found, at)
    if as_json:
        show_json(
            [
                {
                    "run_id": run.run_id,
                    "state": state,
                    "verdict": run.verdict if state != "in progress" else None,
                }
                for run, state in then
            ]
        )
        return
    rows = [
        (run.run_id, state, run.verdict if state != "in progress" else None, run.pairs) for run, state in then
    ]
    table(f"training runs as of {at.isoformat()}", ["run", "state", "verdict", "pairs"], rows)

"""The addresses of the runs."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.console.console_frame import SHOWN_ROWS, Console
from api.console.page_table import PageTable
from api.console.run_pace import pace
from api.console.run_pages import (
    ALL,
    by_segment,
    gate_rows,
    measured,
    moved,
    over_generations,
    segments_of,
)
from api.telling import trigger_told
from schemas.training import Decision

RUNS = "/console/runs"


def run_routes(router: APIRouter, console: Console) -> None:
    """Add the list and the page of one."""
    state = console.state

    @router.get(RUNS)
    async def console_runs(request: Request) -> Response:
        trigger = state.triggers.get(request.query_params.get("trigger", ""))
        runs = sorted(state.runs, key=lambda run: run.run_id, reverse=True)
        evaluations, segment = list(state.evaluations), request.query_params.get("segment", ALL)
        return console.tabled(
            request,
            PageTable("runs", [run.model_dump(mode="json") for run in runs[:SHOWN_ROWS]]),
            "runs.html",
            section=RUNS,
            runs=runs[:SHOWN_ROWS],
            more=len(runs) > SHOWN_ROWS,
            trigger=trigger_told(state, trigger) if trigger else None,
            chart=over_generations(evaluations, segment),
            segment=segment,
            segments=segments_of(evaluations),
        )

    @router.get("/console/runs/{run_id:before_colon}")
    async def console_run(request: Request, run_id: str) -> Response:
        run = state.runs.get(run_id)
        if run is None:
            return console.shown(
                "missing.html", section=RUNS, status=404, what=f"There is no run {run_id}.", back=RUNS
            )
        raw = state.decisions.get(run_id)
        decision = Decision.from_json(raw) if raw else None
        rows = gate_rows(decision) if decision else []
        return console.tabled(
            request,
            PageTable("checks", [row.check.model_dump(mode="json") for row in rows]),
            "run.html",
            section=RUNS,
            run=run,
            decision=decision,
            rows=rows,
            table=measured(decision) if decision else None,
            segments=by_segment(decision) if decision else [],
            moved=moved(decision) if decision else [],
            pace=pace(state.seen_first.get(run_id), run),
            asked_by=[one.requested_by for name in run.trigger_ids if (one := state.triggers.get(name))],
        )

"""One refresh: the live model under a memory, a popularity and coefficients of today. Nothing is trained.

``python -m trainer.refresh FOLDER`` is its own process, as ``trainer.retrain`` is that of a run. Killed
before its decision it begins anew, after it it goes on: what was decided on is not written again. Its folder
keeps no snapshot.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path

import structlog

from artefacts.located import folders_of, use_store
from process.logs import configure_logs
from retrieval.document import COMPOSITION
from schemas.releases import Candidate, LivePointer
from schemas.training import Decision, RunState
from trainer import promotion
from trainer.keeping import is_good, keep_artefacts
from trainer.refitting import SCRATCH, refit_and_judge
from trainer.run.concluding import conclude
from trainer.run.folder import RunFolder, RunOutcome
from trainer.run.generations import find_live
from trainer.run.processes import die_with_parent, lower_priority
from trainer.run.request import Request

log = structlog.get_logger(__name__)

VALID = timedelta(minutes=2)  # how long the indexer has to begin: a later refresh knows more


def refresh(run: RunFolder, request: Request) -> RunOutcome:
    """Carry a refresh to its end.

    Raises ``RunEndedError`` where it ends early; anything else is a fault, after which it can go on.
    """
    live = run.once("live", LivePointer, lambda: find_live(request.settings))
    decision = run.once("decision", Decision, lambda: refit_and_judge(run, request, live))
    for name in SCRATCH:
        run.absent(name)
    if decision.candidate_ranking == live.live.ranking:
        return RunOutcome(state=RunState.SKIPPED, detail="nothing new: what serves ranks so already")
    run.report(RunState.EVALUATING, 0.9, f"the verdict is {decision.verdict}")
    if is_good(decision) and not request.dry_run:
        keep_artefacts(decision.candidate_ranking, run.path, folders_of(request.settings))
    candidate = Candidate(
        kind="refresh",
        model=live.live.model,
        model_sha256=live.live.model_sha256,
        dim=live.live.dim,
        composition=COMPOSITION,
        ranking=decision.candidate_ranking,
        run_id=request.run_id,
        decision_id=decision.decision_id,
    )
    return promotion.carry_out(
        request.settings.model_copy(update={"deploy_timeout": VALID}),
        decision,
        candidate,
        dry_run=request.dry_run,
        deploying=lambda what: run.report(RunState.DEPLOYING, 0.95, what),
    )


def _requested(run: RunFolder, request: Request) -> RunOutcome:
    request = request.connected(os.environ)
    use_store(folders_of(request.settings))
    return refresh(run, request)


def main(arguments: list[str]) -> int:
    """Refresh by the folder and leave its outcome.

    A fault leaves no outcome and exit code 1, so that it is tried again.
    """
    configure_logs("INFO")
    die_with_parent()
    lower_priority()
    run = RunFolder(Path(arguments[0]))
    with run.locked():
        structlog.contextvars.bind_contextvars(refresh=run.path.name)
        request = run.find("request", Request)
        if request is None:
            log.error("the folder has no request.json", folder=str(run.path))
            return 2
        return conclude(run, lambda: _requested(run, request))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

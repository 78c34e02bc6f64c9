"""One training run, from the stream's counts to a deployed model.

Snapshot, split, fine-tune, evaluate, decide, promote. Read this first.
``python -m trainer.retrain RUN_FOLDER`` is the run's own process. Each step leaves a marker when it is done,
so the same command on the same folder goes on where a killed process stopped. The worker starts it, reads its
progress and its outcome, and tells Kafka.
"""

import os
import sys
from pathlib import Path

import structlog

from artefacts.located import folders_of, use_store
from process.logs import configure_logs
from schemas.releases import LivePointer
from schemas.training import Decision, RunState
from trainer import steps
from trainer.data.prepared import Prepared
from trainer.data.snapshot import Manifest
from trainer.evaluation.files import EvaluationFacts
from trainer.gate.past import Past
from trainer.learning.plan import Training
from trainer.run.concluding import conclude, until_ended_elsewhere
from trainer.run.folder import RunFolder, RunOutcome
from trainer.run.generations import find_live
from trainer.run.processes import begin_again, die_with_parent, lower_priority
from trainer.run.request import Request

log = structlog.get_logger(__name__)


def retrain(run: RunFolder, request: Request) -> RunOutcome:
    """Carry a run to its end.

    Raises ``RunEndedError`` where it ends early; anything else is a fault, after which it can go on.
    """
    run.report(RunState.SNAPSHOTTING, 0.0, "reading pairs and catalogue")
    live = run.once("live", LivePointer, lambda: find_live(request.settings))
    manifest = run.once("snapshot", Manifest, lambda: steps.take_snapshot(run, request, live))
    prepared = run.once("split", Prepared, lambda: steps.split(run, request, live))

    run.report(
        RunState.TRAINING,
        0.05,
        f"{prepared.new_pairs} new and {prepared.old_pairs} old pairs, from {prepared.start}: {prepared.why}",
    )
    training = run.find("training", Training)
    if training is None:
        run.once("training", Training, lambda: steps.train(run, request, live, prepared))
        # The memory of training is not held while the candidate is evaluated
        begin_again("trainer.retrain", run.path)

    run.report(
        RunState.EVALUATING,
        0.75,
        f"trained {training.steps} steps in {training.wall_s:.0f} s; {prepared.test_queries} test queries",
    )
    past = run.once("past", Past, lambda: steps.find_past(request, live))
    evaluation = run.once("evaluation", EvaluationFacts, lambda: steps.evaluate(run, request, live, past))
    decision = run.once("decision", Decision, lambda: steps.decide(run, request, manifest))

    run.report(RunState.EVALUATING, 0.95, f"the verdict is {decision.verdict}")
    decision = steps.keep(run, request, manifest, decision)
    return steps.promote(run, request, evaluation, decision)


def main(arguments: list[str]) -> int:
    """Run the folder and write its outcome.

    A fault leaves no outcome and exit code 1, so that the worker may try again.
    """
    configure_logs("INFO")
    die_with_parent()
    lower_priority()
    run = RunFolder(Path(arguments[0]))
    with run.locked():
        structlog.contextvars.bind_contextvars(run_id=run.path.name)
        if not (run.path / "request.json").exists():
            log.error("the run folder has no request.json", folder=str(run.path))
            return 2
        return conclude(run, lambda: _requested(run))


def _requested(run: RunFolder) -> RunOutcome:
    request = run.find("request", Request)
    if request is None:
        raise FileNotFoundError(run.path / "request.json")
    request = request.connected(os.environ)
    use_store(folders_of(request.settings))
    with until_ended_elsewhere(run):
        return retrain(run, request)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""The steps of a run, each from the files of the one before to its own: thin, named as in ``retrain``."""

import asyncio
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from artefacts.folders import StoreAwayError, name_of
from artefacts.located import cache_of, folders_address, folders_of
from media.pictures import stored_pictures
from process.lazy_import import lazy_import
from retrieval.document import COMPOSITION, PICTURE, only
from retrieval.field_weights import FieldWeights
from retrieval.model_folder import ModelError, fingerprint, resolve_model
from schemas.releases import Candidate, LivePointer
from schemas.settings import named
from schemas.training import REPORT, Decision, RunState
from trainer import promotion
from trainer.data import judgments
from trainer.data import snapshot as snapshots
from trainer.data.arrival import earlier_runs
from trainer.data.judgments import JudgmentsError, kept_sets, qrels_of
from trainer.data.prepared import Prepared
from trainer.data.snapshot import Manifest, Snapshot
from trainer.dataset import prepare
from trainer.evaluation.files import Evaluation, EvaluationFacts, EvaluationRequest
from trainer.evaluation.rank_changes import FILE, frame_of
from trainer.evaluation.report_page import render
from trainer.gate.case import PINS, Case
from trainer.gate.decision import build_decision
from trainer.gate.past import Past, look_back
from trainer.gate.pinned import PinError, read_pins
from trainer.keeping import (
    VECTORS,
    evidence_names,
    is_good,
    keep_artefacts,
    keep_evidence,
    vectors_name,
    while_away,
)
from trainer.learning.plan import Lineage, Training, lineage_of, plan
from trainer.learning.training_data import TrainingData
from trainer.learning.training_progress import TrainingError, TrainingStep
from trainer.run.folder import RunFolder, RunOutcome, failed, write_durably
from trainer.run.generations import read_history
from trainer.run.processes import command, environment
from trainer.run.request import Request

if TYPE_CHECKING:
    from trainer.learning import fine_tune as learning
else:
    # torch and what comes with it: seconds of CPU and 1 GB, which no other step needs in this process
    learning = lazy_import("trainer.learning.fine_tune")


def take_snapshot(run: RunFolder, request: Request, live: LivePointer) -> Manifest:
    """Read the topics into ``snapshot/``, and the operator's judgments beside them."""
    folder = run.fresh("snapshot")
    manifest = snapshots.take(request.settings, folder, live)
    try:
        judgments.take(request.settings, folder)
    except JudgmentsError as error:
        raise failed("judgments_missing", str(error)) from error
    return manifest


def split(run: RunFolder, request: Request, live: LivePointer) -> Prepared:
    """Divide the snapshot into ``split/``."""
    earlier = list(earlier_runs(run.path.parent, but=run.path)) if request.settings.settled_days else []
    return prepare(
        request,
        Snapshot.read(run.path / "snapshot"),
        _folder(run, live.live.model),
        run.fresh("split"),
        earlier,
    )


def train(run: RunFolder, request: Request, live: LivePointer, prepared: Prepared) -> Training:
    """Fine-tune into ``model/``."""
    settings = request.settings
    start = _folder(run, live.live.model if prepared.start == "live" else settings.base_model)
    parent = lineage_of(start)
    told = pl.read_parquet(run.path / "snapshot" / "catalog.parquet", columns=["product_id", "text"])
    fields = FieldWeights.read(start).read_fields | {PICTURE, *named(settings.tried_fields)}
    run.absent("model.tmp")

    def progress(step: TrainingStep) -> None:
        detail = (
            f"step {step.step}/{step.steps}, loss {step.loss:.3f}, {step.pairs_per_s:.0f} pairs/s, "
            f"{step.eta_s:.0f} s to go"
        )
        run.report(RunState.TRAINING, 0.05 + 0.7 * step.step / step.steps, detail)

    try:
        return learning.fine_tune(
            start,
            run.absent("model"),
            TrainingData(
                pairs=pl.read_parquet(run.path / "split" / "train.parquet"),
                known=pl.read_parquet(run.path / "split" / "known.parquet"),
                texts={product: only(text, fields) for product, text in told.iter_rows()},
                inner=pl.read_parquet(run.path / "split" / "inner.parquet"),
                pictures=stored_pictures(settings.artefact_address),
            ),
            plan(
                settings,
                new_pairs=prepared.new_pairs,
                old_pairs=prepared.old_pairs,
                from_live=prepared.start == "live",
                device=learning.device_of(settings.device),
            ),
            lineage=Lineage(
                cut_day=prepared.cut_day,
                heldout_share=settings.heldout_share,
                parent_sha256=fingerprint(start),
                since_base=parent.since_base + 1 if parent else 0,
                label_shuffle_seed=request.label_shuffle_seed,
            ),
            progress=progress,
        )
    except TrainingError as error:
        raise failed("training", str(error)) from error


def find_past(request: Request, live: LivePointer) -> Past:
    """Choose the best of the last generations, with which the candidate is compared besides live."""
    releases, decisions = asyncio.run(read_history(request.settings))
    return look_back(live, releases, decisions, there=_there)


def evaluate(run: RunFolder, request: Request, live: LivePointer, past: Past) -> EvaluationFacts:
    """Score the saved candidate and the baselines in a fresh process, into ``evaluation/``."""
    folder = run.fresh("evaluation")
    pinned = request.settings.data_dir / request.settings.pinned_queries
    if pinned.is_file():
        shutil.copyfile(pinned, folder / PINS)
    weighted = pl.read_parquet(run.path / "split" / "weighted.parquet")
    judged = {}
    for name, own in kept_sets(run.path / "snapshot").items():
        judged[name] = folder / f"judgments-{name}.parquet"
        qrels_of(own, weighted).write_parquet(judged[name])
    asked = EvaluationRequest(
        catalog=run.path / "snapshot" / "catalog.parquet",
        qrels=run.path / "split" / "qrels.parquet",
        weighted=run.path / "split" / "weighted.parquet",
        inner=run.path / "split" / "asked.parquet",
        known=run.path / "split" / "remembered_then.parquet",
        clients=run.path / "snapshot" / "clients.parquet",
        judged=judged,
        models={
            "candidate": str(run.path / "model"),
            "live": live.live.model,
            "base": request.settings.base_model,
            "best": past.model,
        },
        rankings={"live": live.live.ranking, "best": past.ranking},
        remembered=run.path / "split" / "remembered.parquet",
        memory=run.path / "memory",
        ranker=run.path / "ranker",
        refreshed=[
            name for name, kind in (("live", live.live.kind), ("best", past.kind)) if kind == "refresh"
        ],
        seed=request.settings.seed,
        language=request.settings.language,
        artefacts=request.settings.artefact_address,
        folders=folders_address(request.settings),
        cache=cache_of(request.settings),
        cache_bytes=request.settings.artefact_cache_bytes,
        pinned=_pinned_texts(folder / PINS),
        output=folder,
        threads=request.settings.torch_threads,
    )
    path = folder / "request.json"
    path.write_text(asked.model_dump_json())
    env = environment(os.environ, request.settings.torch_threads)
    subprocess.run(command("trainer.evaluation.scoring", path), env=env, check=True)
    return Evaluation.read(folder).facts


def decide(run: RunFolder, request: Request, manifest: Manifest) -> Decision:
    """Judge the evaluation, and write the report for people, ``report.html``."""
    case = Case.read(run.path)
    evaluation, titles = case.evaluation, case.titles
    decision = build_decision(case, at=datetime.now(UTC))
    risen = case.evidence.rank_changes
    frame_of(risen).write_parquet(run.path / "evaluation" / FILE)
    facts = {
        "run": request.run_id,
        "live generation": str(manifest.live.live.generation),
        "pairs in the snapshot": str(manifest.pairs),
    }
    page = render(
        evaluation,
        titles,
        title=f"Run {request.run_id}",
        facts=facts,
        decision=decision,
        seed=request.settings.seed,
        risen=risen,
    )
    write_durably(run.path / REPORT, page.encode())
    return decision.model_copy(update=evidence_names(decision.evidence, page.encode()))


def keep(run: RunFolder, request: Request, manifest: Manifest, decision: Decision) -> Decision:
    """Put what the decision rests on into the store; return the decision that names what is there."""
    run.report(RunState.EVALUATING, 0.96, "putting snapshot and report into the store")
    kept = keep_evidence(
        run,
        decision,
        folders_of(request.settings),
        lambda: snapshots.may_name_forgotten(request.settings, manifest),
    )
    if kept != decision:
        run.commit("decision", kept)
    return kept


def promote(run: RunFolder, request: Request, evaluation: EvaluationFacts, decision: Decision) -> RunOutcome:
    """Keep what is to be served, publish the decision and carry it out."""
    artefact = evaluation.artefacts.get("candidate")
    vectors = run.path / "evaluation" / VECTORS
    sha256 = evaluation.fingerprints.get("candidate", "")
    store = folders_of(request.settings)
    if is_good(decision) and not request.dry_run:
        run.report(RunState.EVALUATING, 0.96, "putting the model into the store")
        while_away(run, lambda: store.put("models", sha256, run.path / "model"))
        while_away(run, lambda: keep_artefacts(decision.candidate_ranking, run.path, store))
        if vectors.is_file():
            while_away(run, lambda: store.put("vectors", sha256, vectors))
    candidate = Candidate(
        model=name_of("models", sha256),
        model_sha256=sha256,
        dim=artefact.dim if artefact else 0,
        vectors=vectors_name(sha256) if vectors.is_file() else None,
        composition=COMPOSITION,
        ranking=decision.candidate_ranking,
        run_id=request.run_id,
        decision_id=decision.decision_id,
    )
    return promotion.carry_out(
        request.settings,
        decision,
        candidate,
        dry_run=request.dry_run,
        deploying=lambda what: run.report(RunState.DEPLOYING, 0.97, what),
    )


def _there(model: str) -> bool:
    try:
        return resolve_model(model).is_dir()
    except ModelError:
        return False


def _pinned_texts(path: Path) -> list[str]:
    try:
        return [pin.query for pin in read_pins(path)]
    except PinError:
        return []  # the gate says what is wrong with the file


def _folder(run: RunFolder, model: str) -> Path:
    try:
        return while_away(run, lambda: _resolved(model))
    except ModelError as error:
        raise failed("model_missing", str(error)) from error


def _resolved(model: str) -> Path:
    try:
        return resolve_model(model)
    except ModelError as error:
        if isinstance(error.__cause__, StoreAwayError):
            raise error.__cause__ from error
        raise

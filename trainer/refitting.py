"""The step of a refresh that measures: its memory, how it ranks, and the verdict.

Thin: ``data.up_to_now`` says what is remembered, ``evaluation.validation_queries`` fits coefficients and a
ranker as in a run, and ``gate.refresh_checks`` says what follows from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

import polars as pl

from artefacts.folders import StoredFolderError, is_stored, stored_ranking
from artefacts.located import local
from media.pictures import stored_pictures
from retrieval.encoder import Encoder, Vectors
from retrieval.golden_vectors import GoldenVectors
from retrieval.mapped_arrays import ArtefactError
from retrieval.memory_parts import sources_of, with_ranker
from retrieval.model_folder import ModelError, resolve_model
from retrieval.query_memory import remembered_queries, write_memory
from retrieval.ranker import copy_ranker
from retrieval.ranking import MEMORY, PARTS, RANKER, Source, trimmed
from retrieval.words import WordIndex, analysis_digest
from schemas.releases import LivePointer, Ranking, Release
from schemas.settings import TrainerSettings
from schemas.training import Check, Decision, RunState, Score
from trainer.data import snapshot as snapshots
from trainer.data.arrival import earlier_runs
from trainer.data.snapshot import Manifest, Snapshot
from trainer.data.trust import believed
from trainer.data.up_to_now import UpToNow
from trainer.evaluation.files import Evaluation, EvaluationFacts
from trainer.evaluation.known_vectors import KnownVectors
from trainer.evaluation.memory_of_pairs import taken_of
from trainer.evaluation.rankers import Embedded, EvaluationCatalog, served, words_of_catalog
from trainer.evaluation.scoring import score
from trainer.evaluation.segments import describe, thin
from trainer.evaluation.validation_queries import AskedThen, Validation, fit_ranking
from trainer.gate.case import evidence_of
from trainer.gate.data_facts import facts_of
from trainer.gate.evidence import GateEvidence
from trainer.gate.pinned import PinError, pins_missing, read_pins
from trainer.gate.refresh_checks import kept, ranking_kept, refit_checks, refresh_checks
from trainer.gate.verdict import overall, scores
from trainer.keeping import VECTORS, vectors_name
from trainer.run.folder import RunEndedError, RunFolder, RunOutcome, failed
from trainer.run.request import Request

SCRATCH = ("snapshot", "left_out", "then")
MOST_TESTED = 300


class Proposal(NamedTuple):
    """How a refresh would rank, and the checks of what was fitted beside live, with their evidence.

    None: nothing was fitted.
    """

    ranking: Ranking
    checks: list[Check]
    evidence: GateEvidence | None = None


def refit_and_judge(run: RunFolder, request: Request, live: LivePointer) -> Decision:
    """Fit where that is asked, measure, write what would be served, and decide.

    It is written into ``memory/`` and ``ranker/``. A candidate that would change nothing has live's very
    ranking. Raises ``RunEndedError``: skipped where there is nothing to remember, failed where the live model
    cannot be loaded or gives other vectors here.
    """
    run.report(RunState.SNAPSHOTTING, 0.05, "reading pairs and catalogue")
    manifest = snapshots.take(request.settings, run.fresh("snapshot"), live)
    run.commit("snapshot", manifest)
    snapshot = Snapshot.read(run.path / "snapshot")
    learnt = _learnt(request.settings, snapshot)
    run.report(RunState.EVALUATING, 0.2, f"{learnt.everything.height} pairs to remember")
    try:
        bench = RefitBench.of(run.path.parent / VECTORS, request.settings, live.live, snapshot)
    except ModelError as error:
        raise failed("model_differs", str(error)) from error

    tested = tested_by(learnt, snapshot.clients)
    ranking, checks, refitted = bench.proposed(run, learnt, tested, refit=request.refit)
    run.report(RunState.EVALUATING, 0.7, f"{bench.known.encoded} texts were new to the model")

    changed = bench.compared(ranking, tested, learnt, manifest)
    bench.known.write(run.path.parent / VECTORS)
    checks += refresh_checks(changed, request.settings, checks)
    measured = scores(refitted, request.settings) if refitted else {}
    return _decision(request, live.live, manifest, ranking, checks, measured)


def tested_by(learnt: UpToNow, clients: pl.DataFrame | None) -> pl.DataFrame:
    """Return the queries that judge, as ``segments.describe`` does, sorted; ``clients`` None: not known."""
    return thin(describe(learnt.test, learnt.left_out, clients=clients), MOST_TESTED).sort("query")


def _learnt(settings: TrainerSettings, snapshot: Snapshot) -> UpToNow:
    earlier = list(earlier_runs(settings.data_dir / "runs")) if settings.settled_days else []
    learnt = None if snapshot.catalog.is_empty() else UpToNow.of(settings, snapshot, earlier)
    if learnt is None or learnt.everything.is_empty():
        raise RunEndedError(RunOutcome(state=RunState.SKIPPED, detail="no pair counts yet"))
    return learnt


def _decision(
    request: Request,
    live: Release,
    manifest: Manifest,
    ranking: Ranking,
    checks: list[Check],
    measured: dict[str, dict[str, Score]],
) -> Decision:
    verdict = overall(checks)
    reasons = [f"{c.name}: {c.verdict}: {c.reason}" for c in checks if c.verdict != "pass"]
    forced = verdict != "pass" and request.force and request.force_reason is not None
    told = f"forced ({verdict}): {request.force_reason}"
    return Decision(
        decision_id=request.run_id,
        kind="refresh",
        run_id=request.run_id,
        verdict="forced" if forced else verdict,
        reasons=[told, *reasons] if forced else reasons,
        checks=checks,
        ndcg10=measured,
        snapshot_sha256=manifest.sha256,
        candidate_sha256=live.model_sha256,
        candidate_ranking=stored_ranking(ranking),
        limits=request.settings.limits(),
        seed=request.settings.seed,
        generation_before=live.generation,
        at=datetime.now(UTC),
    )


@dataclass(frozen=True)
class RefitBench:
    """What is measured with: the live model's vectors, the catalogue, its words. ``documents`` (m, dim)."""

    settings: TrainerSettings
    live: Release
    snapshot: Snapshot
    catalog: EvaluationCatalog
    known: KnownVectors
    documents: Vectors
    words: WordIndex

    @classmethod
    def of(cls, vectors: Path, settings: TrainerSettings, live: Release, snapshot: Snapshot) -> Self:
        """Load the live model; encode what of the catalogue is not known.

        Raises ``ModelError`` as ``Encoder.load`` does, and where its golden vectors are others here: a memory
        of such vectors would be searched by those of another machine.
        """
        catalog = EvaluationCatalog.of(snapshot.catalog)
        encoder = Encoder.load(
            resolve_model(live.model),
            threads=settings.torch_threads,
            pictures=stored_pictures(settings.artefact_address),
        )
        GoldenVectors(settings.artefact_address).check(encoder)
        known = KnownVectors.read(encoder, vectors, _of_catalogue(live))
        words = words_of_catalog(catalog, live.ranking.language or settings.language)
        return cls(settings, live, snapshot, catalog, known, known.documents(catalog.documents), words)

    def proposed(
        self, run: RunFolder, learnt: UpToNow, tested: pl.DataFrame, *, refit: bool = True
    ) -> Proposal:
        """Write what would be served: a memory of everything, with what is fitted or as live ranks.

        What does not prove itself, and ``refit`` False, leave live's coefficients and ranker, of which the
        refresh has a copy: so each release stands without the folders of those before.
        """
        live = _readable(self.live.ranking)
        none = Proposal(live, [ranking_kept(f"it is fitted at most every {self.settings.refit_every}")])
        fitted = self._refitted(run, learnt, tested, live) if refit else none
        chosen = copy_ranker(live, run.absent("ranker")) if kept(fitted.checks) else fitted.ranking
        return fitted._replace(ranking=self.remembering(learnt.everything, run.absent("memory"), chosen))

    def _refitted(self, run: RunFolder, learnt: UpToNow, tested: pl.DataFrame, live: Ranking) -> Proposal:
        """Fit coefficients and a ranker, and judge them beside live's.

        Fitted is over what was known when each query was asked, judged over a memory that lacks what is
        asked: with the one that is served every remembered query would find its own answer.
        """
        every = Ranking(coefficients=dict.fromkeys(PARTS, 1.0))
        whole = self.remembering(learnt.left_out, run.absent("left_out"), every)
        fitted = fit_ranking(
            list(self._moments(learnt, every, run.absent("then"))),
            self.catalog,
            whole,
            folder=run.absent("ranker"),
            seed=self.settings.seed,
        )
        sources = self._sources(whole)
        texts = tested["query"].to_list()
        results = [
            score(system, self._ranked(own, with_ranker(sources, own), texts), tested)
            for system, own in (("candidate", fitted.ranking), ("live", live))
        ]
        evidence = self.evidence(tested, pl.concat(results), learnt)
        return Proposal(fitted.ranking, refit_checks(evidence, fitted.coefficients, self.settings), evidence)

    def _moments(self, learnt: UpToNow, every: Ranking, folder: Path) -> Iterator[AskedThen]:
        """Yield the queries to fit to, each time with the memory of it, which is written into ``folder``."""
        for day, asked in Validation.by_day(learnt.validation).items():
            known = learnt.known.filter(pl.col("as_of") == day)
            sources = self._sources(self.remembering(known, folder / str(day), every))
            yield AskedThen(asked, Embedded(self.known.queries(asked.texts), self.documents), sources)

    def remembering(self, pairs: pl.DataFrame, folder: Path, ranking: Ranking) -> Ranking:
        """Write the memory of the pairs; return the ranking over it, live's own where nothing differs."""
        taken = taken_of(pairs)
        queries = remembered_queries(taken)
        digest = write_memory(
            folder, taken, queries, self.known.queries(queries), model_sha256=self.live.model_sha256
        )
        own = trimmed(
            Ranking(
                coefficients=ranking.coefficients,
                artefacts=ranking.artefacts | {MEMORY: (str(folder.absolute()), digest)},
                language=self.words.language,
                analysis_sha256=analysis_digest(self.words.language),
            )
        )
        return self.live.ranking if _same(own, self.live.ranking) else own

    def compared(
        self, ranking: Ranking, tested: pl.DataFrame, learnt: UpToNow, manifest: Manifest
    ) -> GateEvidence:
        """Return how the tested queries would be answered beside how they are, and what the data says."""
        texts, problems = tested["query"].to_list(), {}
        results = [score("candidate", self.answers(ranking, texts), tested)]
        try:
            results.append(score("live", self.answers(self.live.ranking, texts), tested))
        except ArtefactError as error:
            problems["live"] = f"what serves cannot be read: {error}"
        data = facts_of(
            self.snapshot, cut_day=learnt.cut_day, received=manifest.received, refused=manifest.refused
        )
        plain = self.evidence(tested, pl.concat(results), learnt)
        try:
            pins = read_pins(self.settings.data_dir / self.settings.pinned_queries)
        except PinError as error:
            return replace(plain, data=data, pinned=None, problems=problems | {"pinned": str(error)})
        asked = [pin.query for pin in pins]
        answers = dict(zip(asked, self.answers(ranking, asked), strict=True)) if asked else {}
        return replace(plain, data=data, pinned=pins_missing(pins, answers), problems=problems)

    def evidence(self, tested: pl.DataFrame, results: pl.DataFrame, learnt: UpToNow) -> GateEvidence:
        """Return results as the gate reads them."""
        found = Evaluation(tested, results, EvaluationFacts(queries=tested.height))
        trusted = believed(self.snapshot.clients, deviations=self.settings.newcomer_deviations)
        return evidence_of(found, self.snapshot, learnt.weighted, trusted)

    def answers(self, ranking: Ranking, texts: Sequence[str]) -> list[list[str]]:
        """Return what would be served. Raises ``ArtefactError`` where the ranking's artefacts are lost."""
        return self._ranked(ranking, self._sources(ranking), texts)

    def _ranked(
        self, ranking: Ranking, sources: Mapping[str, Source], texts: Sequence[str]
    ) -> list[list[str]]:
        vectors = Embedded(self.known.queries(texts), self.documents)
        return served(vectors, sources, texts, self.catalog, ranking)

    def _sources(self, ranking: Ranking) -> Mapping[str, Source]:
        return sources_of(ranking, self.words, model_sha256=self.live.model_sha256)


def _of_catalogue(live: Release) -> Path | None:
    """Return where the run of a model left the vectors of its catalogue; None where it did not."""
    if not is_stored(live.model):
        return Path(live.model).parent / "evaluation" / VECTORS
    try:
        return local(vectors_name(live.model_sha256))
    except StoredFolderError:
        return None


def _readable(ranking: Ranking) -> Ranking:
    """Return the ranking, without a ranker that is gone or damaged: there is none to keep."""
    try:
        with_ranker({}, ranking)
    except ArtefactError:
        left = {name: weight for name, weight in ranking.coefficients.items() if name != RANKER}
        return ranking.model_copy(update={"coefficients": left})
    return ranking


def _same(ours: Ranking, theirs: Ranking) -> bool:
    """Whether two rankings answer alike: an artefact is known by its digest, wherever it lies."""

    def digests(ranking: Ranking) -> dict[str, str]:
        return {name: digest for name, (_, digest) in ranking.artefacts.items()}

    same = ours.model_copy(update={"artefacts": theirs.artefacts})
    return same == theirs and digests(ours) == digests(theirs)

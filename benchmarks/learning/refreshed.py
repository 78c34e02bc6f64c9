"""A frozen model over a click log, refreshed by the trainer's own code as it refreshes what serves."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import polars as pl

from benchmarks.learning.clicklog import ClickLog
from retrieval.encoder import Encoder, Vectors
from retrieval.words import WordIndex
from schemas.releases import Ranking, Release, ReleaseState
from schemas.settings import TrainerSettings
from schemas.training import Check
from trainer.data.snapshot import CLIENT_SCHEMA, PAIR_SCHEMA, Snapshot
from trainer.data.up_to_now import UpToNow
from trainer.evaluation.known_vectors import KnownVectors
from trainer.evaluation.rankers import EvaluationCatalog
from trainer.gate.refresh_checks import kept
from trainer.refitting import RefitBench, tested_by
from trainer.run.folder import RunFolder


@dataclass(frozen=True)
class FrozenModel:
    """A model with its vectors of the catalogue, and the words; what was asked of it once is known."""

    log: ClickLog
    settings: TrainerSettings
    path: Path
    encoder: Encoder
    catalog: EvaluationCatalog
    words: WordIndex
    known: KnownVectors
    documents: Vectors

    @classmethod
    def of(
        cls,
        log: ClickLog,
        settings: TrainerSettings,
        path: Path,
        catalog: EvaluationCatalog,
        words: WordIndex,
    ) -> Self:
        """Load the model and encode the catalogue."""
        encoder = Encoder.load(path, threads=settings.torch_threads)
        known = KnownVectors(encoder)
        documents = known.documents(catalog.documents)
        return cls(log, settings, path, encoder, catalog, words, known, documents)

    def bench(self, ranking: Ranking, snapshot: Snapshot) -> RefitBench:
        """Return what a refresh measures with, where this model serves by the ranking."""
        live = Release(
            generation=1,
            model=str(self.path),
            model_sha256=self.encoder.fingerprint,
            dim=self.encoder.dim,
            ranking=ranking,
            collection="",
            state=ReleaseState.RELEASED,
        )
        return RefitBench(self.settings, live, snapshot, self.catalog, self.known, self.documents, self.words)


@dataclass
class RefreshedModel:
    """One line of refreshes of a frozen model; ``ranking`` is what serves, ``folder`` where they lie.

    Of each refresh that fitted: ``told`` by the first day that it did not know what became of it, ``cpu_s``.
    """

    model: FrozenModel
    ranking: Ranking
    folder: Path
    told: dict[int, str] = field(default_factory=dict)
    cpu_s: list[float] = field(default_factory=list)

    def refresh(self, day: int, *, fitting: bool) -> None:
        """Refresh with all clicks before a day.

        ``fitting`` False: memory and popularity alone, coefficients and ranker stay. Nobody knows the clients
        of the log, so no query is told to be rare.
        """
        began = time.process_time()
        rows = self.model.log.rows.filter(pl.col("day") < day).select(*PAIR_SCHEMA)
        catalog = self.model.log.catalog.sort("product_id")
        snapshot = Snapshot(rows, pl.DataFrame(schema=CLIENT_SCHEMA), catalog)
        learnt = UpToNow.of(self.model.settings, snapshot, [])
        bench = self.model.bench(self.ranking, snapshot)
        run = RunFolder(self.folder / f"{day}")
        if not fitting:
            self.ranking = bench.remembering(learnt.everything, run.absent("memory"), self.ranking)
            return
        self.ranking, checks, _ = bench.proposed(run, learnt, tested_by(learnt, None))
        self.told[day] = _words(checks, self.ranking)
        self.cpu_s.append(round(time.process_time() - began, 1))

    def answers(self, texts: list[str]) -> list[list[str]]:
        """Return the first ids per query, as they would be served."""
        nothing = Snapshot(*(pl.DataFrame() for _ in range(3)))
        return self.model.bench(self.ranking, nothing).answers(self.ranking, texts)

    def week(self, week: int, *, daily: bool, fitting: bool) -> list[list[str]]:
        """Return what is answered to the queries of a week, in the order of its gains.

        Refreshed before the week, or ``daily`` before each of its days: then a query is answered on the first
        of them on which it was asked, by what was known before that day. So what it is judged by, the clicks
        of the whole week, is never known.
        """
        asked = self.model.log.first_days(week)
        begins = min(asked.values())
        found: dict[str, list[str]] = {}
        for day in sorted(set(asked.values())) if daily else [begins]:
            self.refresh(day, fitting=fitting)
            texts = [query for query, first in asked.items() if first == day or not daily]
            found |= zip(texts, self.answers(texts), strict=True)
        return [found[query] for query in self.model.log.gains(week)]


def _words(checks: list[Check], ranking: Ranking) -> str:
    weighs = ", ".join(f"{name} {weight:g}" for name, weight in sorted(ranking.coefficients.items()))
    return f"{checks[0].reason if kept(checks) else f'taken, {checks[0].delta:+.4f}'}; {weighs}"

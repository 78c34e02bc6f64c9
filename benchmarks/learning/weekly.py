"""Training on a click log before a week, and scoring systems on the week, with the trainer's own code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from benchmarks.harness.report import say
from benchmarks.learning.clicklog import ClickLog
from benchmarks.learning.remembering import COEFFICIENTS, Remembering
from retrieval.encoder import Encoder
from retrieval.memory_parts import sources_of
from retrieval.model_folder import resolve_model
from retrieval.ranking import MEMORY, PARTS, Source
from schemas.releases import Ranking
from schemas.settings import TrainerSettings
from trainer.evaluation.memory_of_pairs import remember, taken_of
from trainer.evaluation.rankers import (
    FUSED_DEPTH,
    Embedded,
    EvaluationCatalog,
    bm25,
    dense,
    fit_ranking,
    popularity,
    rrf,
    served,
    words_of_catalog,
)
from trainer.evaluation.ranking_metrics import ndcg
from trainer.learning.fine_tune import device_of, fine_tune
from trainer.learning.plan import Training, plan
from trainer.learning.training_data import TrainingData

Gains = Mapping[str, Mapping[str, float]]


Scores = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Learner:
    """Trains on a click log into a folder, always by the settings' own plan."""

    log: ClickLog
    settings: TrainerSettings
    folder: Path

    def train(self, name: str, week: int, *, start: Path | None = None) -> tuple[Path, Training]:
        """Train on all before the week.

        From the base model, or from ``start``, for which the week before is new.
        """
        pairs = self.log.pairs_before(week, new_from=week - 1 if start else None, settings=self.settings)
        new = int(pairs["new"].sum())
        device = device_of(self.settings.device)
        chosen = plan(
            self.settings,
            new_pairs=new,
            old_pairs=pairs.height - new,
            from_live=start is not None,
            device=device,
        )
        output = self.folder / f"{name}-{week}"
        facts = fine_tune(
            start or resolve_model(self.settings.base_model),
            output,
            TrainingData(
                pairs,
                self.log.rows.filter(pl.col("week") < week)
                .select("query", "product_id")
                .unique(maintain_order=True),
                dict(self.log.catalog.select("product_id", "text").iter_rows()),
            ),
            chosen,
        )
        say(
            f"{name} before week {week}: {new} new of {pairs.height} pairs, {facts.steps} steps, "
            f"{facts.cpu_s:.0f} CPU-s"
        )
        return output, facts


class WeeklyEvaluation:
    """The catalogue, its words, and what is remembered before a week; scores systems on a week."""

    def __init__(self, log: ClickLog, settings: TrainerSettings) -> None:
        self._log, self._settings = log, settings
        self.catalog = EvaluationCatalog.of(log.catalog)
        self._words = words_of_catalog(self.catalog, settings.language)
        self._remembering = Remembering(self.catalog, self._words)
        self._scratch = TemporaryDirectory(prefix="searchloop-memories-")
        self._known: dict[tuple[Path, int], tuple[Embedded, dict[str, Source]]] = {}

    def remembered(self, week: int, models: Mapping[str, Path], *, without: bool = False) -> Scores:
        """Score, by name, models with all that was learnt before the week (``remembering``).

        ``without``: also with each part left out.
        """
        gains, seen = self._log.gains(week), self._log.queries_before(week)
        texts, pairs = list(gains), self._log.pairs_before(week, settings=self._settings)
        scores: Scores = {}
        for name, model in models.items():
            encoder = Encoder.load(model, threads=self._settings.torch_threads)
            parts = self._remembering.parts(texts, self._of(model, week)[0], encoder, pairs)
            scores[name] = _means(self._remembering.rankings(parts), gains, seen)
            for part in COEFFICIENTS if without else ():
                ranked = self._remembering.rankings(parts, without=part)
                scores[f"{name}_without_{part}"] = _means(ranked, gains, seen)
        return scores

    def ranking_for(self, model: Path, week: int) -> Ranking:
        """Return how much of each source a model wants on the queries of a week that it has not seen."""
        gains = self._log.gains(week)
        found = fit_ranking(*self._of(model, week), list(gains), list(gains.values()), self.catalog)
        return Ranking(coefficients=found.coefficients)

    def score(
        self, week: int, models: Mapping[str, Path], ranked: Mapping[str, tuple[Path, Ranking]]
    ) -> Scores:
        """Score popularity, BM25, RRF with the base model, the models by name alone, and as they are served.

        ``ranked``: what serves is a model and its ranking.
        """
        gains = self._log.gains(week)
        texts, seen = list(gains), self._log.queries_before(week)
        deep = bm25(self._words, texts, depth=FUSED_DEPTH)
        credit = self._log.pairs_before(week, settings=self._settings)
        vectors = {
            path: self._of(path, week) for path in {*models.values(), *(path for path, _ in ranked.values())}
        }
        rankings = {"popularity": popularity(texts, self.catalog, credit), "bm25": deep}
        rankings["rrf"] = rrf(deep, dense(vectors[models["base"]][0], self.catalog, depth=FUSED_DEPTH))
        rankings |= {name: dense(vectors[path][0], self.catalog) for name, path in models.items()}
        for name, (path, ranking) in ranked.items():
            rankings[name] = served(*vectors[path], texts, self.catalog, ranking)
        return {name: _means(ranked, gains, seen) for name, ranked in rankings.items()}

    def _of(self, model: Path, week: int) -> tuple[Embedded, dict[str, Source]]:
        """Return a model's vectors of a week, and the sources as they are when the week begins."""
        if (model, week) not in self._known:
            encoder = Encoder.load(model, threads=self._settings.torch_threads)
            self._known = {key: value for key, value in self._known.items() if key[1] >= week - 1}
            embedded = Embedded.of(encoder, list(self._log.gains(week)), self.catalog)
            folder = Path(self._scratch.name) / f"{len(list(Path(self._scratch.name).iterdir()))}"
            pairs = self._log.pairs_before(week, settings=self._settings)
            taken = taken_of(pairs.with_columns(client=pl.lit(None, pl.String)))  # nobody knows who
            digest = remember(encoder, taken, folder)
            ranking = Ranking(
                coefficients=dict.fromkeys(PARTS, 1.0), artefacts={MEMORY: (str(folder), digest)}
            )
            sources = sources_of(ranking, self._words, model_sha256=encoder.fingerprint)
            self._known[model, week] = embedded, sources
        return self._known[model, week]


def _means(rankings: Sequence[Sequence[str]], gains: Gains, seen: set[str]) -> dict[str, float]:
    scores = {query: ndcg(ranked, own) for ranked, (query, own) in zip(rankings, gains.items(), strict=True)}
    unseen = [score for query, score in scores.items() if query not in seen]
    means = {
        "all": float(np.mean(list(scores.values()))),
        "unseen": float(np.mean(unseen)) if unseen else 0.0,
    }
    return {name: round(value, 4) for name, value in means.items()} | {
        "n": len(scores),
        "n_unseen": len(unseen),
    }

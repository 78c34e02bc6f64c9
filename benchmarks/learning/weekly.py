"""Training on a click log before a week, and scoring systems on the week, with the trainer's own code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from benchmarks.harness.report import say
from benchmarks.learning.clicklog import SETTINGS, ClickLog
from retrieval.encoder import Encoder
from retrieval.memory_parts import sources_of, with_ranker
from retrieval.model_folder import resolve_model
from retrieval.ranking import MEMORY, PARTS, RANKER, Source
from schemas.releases import Ranking
from schemas.settings import TrainerSettings
from trainer.evaluation.bootstrap import clusters_of, interval, resampled_means
from trainer.evaluation.files import RankerFacts
from trainer.evaluation.memory_of_pairs import remember, taken_of
from trainer.evaluation.rankers import (
    FUSED_DEPTH,
    Embedded,
    EvaluationCatalog,
    bm25,
    dense,
    popularity,
    rrf,
    served,
    words_of_catalog,
)
from trainer.evaluation.ranking_metrics import ndcg
from trainer.evaluation.validation_queries import AskedThen, Validation, fit_ranking
from trainer.learning.fine_tune import device_of, fine_tune
from trainer.learning.plan import Training, plan
from trainer.learning.training_data import TrainingData

RESAMPLES = SETTINGS.gate_resamples
EVERY = dict.fromkeys(PARTS, 1.0)

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
    """The catalogue and its words; scores systems on a week by what was known before it."""

    def __init__(self, log: ClickLog, settings: TrainerSettings) -> None:
        self._log, self._settings = log, settings
        self.catalog = EvaluationCatalog.of(log.catalog)
        self.words = words_of_catalog(self.catalog, settings.language)
        self._by_query: dict[str, dict[tuple[int, str, bool], float]] = {}
        self._scratch, self._folders = TemporaryDirectory(prefix="searchloop-memories-"), 0
        self.rankers: dict[tuple[Path, int], RankerFacts] = {}
        self._known: dict[tuple[Path, int], tuple[Embedded, dict[str, Source]]] = {}

    def ranking_for(self, model: Path, week: int) -> Ranking:
        """Return how much of each source a model wants on the queries of a week that it has not seen.

        With a ranker, where one proves itself on them: ``rankers`` says what was found.
        """
        gains, (embedded, sources) = self._log.gains(week), self._of(model, week)
        asked = AskedThen(Validation(list(gains), list(gains.values())), embedded, sources)
        every, folder, seed = Ranking(coefficients=EVERY), self._new_folder(), self._settings.seed
        fitted = fit_ranking([asked], self.catalog, every, folder=folder, seed=seed)
        self.rankers[model, week] = fitted.ranker or RankerFacts(queries=0)
        return fitted.ranking

    def leave_one_out(self, week: int, name: str, model: Path, ranking: Ranking) -> Scores:
        """Score what a model and its ranking serve without each of the parts, as ``NAME_without_PART``.

        Each but the ranker is left out of the sum alone: a ranker reads all parts that it was fitted on.
        """
        scores: Scores = {}
        for part in (RANKER, *PARTS):
            fewer = Ranking(coefficients=ranking.coefficients | {RANKER: 0.0, part: 0.0})
            ranked = served(*self._of(model, week), list(self._log.gains(week)), self.catalog, fewer)
            scores[f"{name}_without_{part}"] = self.scored(f"{name}_without_{part}", week, ranked)
        return scores

    def difference(self, ours: str, theirs: str) -> dict[str, dict[str, float]]:
        """Return the mean and the 95 % interval of ``ours`` minus ``theirs``, paired by query and week."""
        found: dict[str, dict[str, float]] = {}
        both = self._by_query[ours], self._by_query[theirs]
        for kind, unseen in (("all", {False, True}), ("unseen", {True})):
            keys = [key for key in sorted(both[0]) if key[2] in unseen]
            if not keys:
                continue
            delta = np.array([both[0][key] - both[1][key] for key in keys])
            clusters = clusters_of([query for _, query, _ in keys])
            means = resampled_means(delta[:, None], resamples=RESAMPLES, seed=1, clusters=clusters)[:, 0]
            low, high = interval(means, 0.025)
            found[kind] = {
                name: round(float(value), 4)
                for name, value in (("mean", delta.mean()), ("low", low), ("high", high))
            }
        return found

    def score(
        self, week: int, models: Mapping[str, Path], ranked: Mapping[str, tuple[Path, Ranking]]
    ) -> Scores:
        """Score popularity, BM25, RRF with the base model, the models by name alone, and as they are served.

        ``ranked``: what serves is a model and its ranking.
        """
        texts = list(self._log.gains(week))
        deep = bm25(self.words, texts, depth=FUSED_DEPTH)
        credit = self._log.pairs_before(week, settings=self._settings)
        vectors = {
            path: self._of(path, week) for path in {*models.values(), *(path for path, _ in ranked.values())}
        }
        rankings = {"popularity": popularity(texts, self.catalog, credit), "bm25": deep}
        rankings["rrf"] = rrf(deep, dense(vectors[models["base"]][0], self.catalog, depth=FUSED_DEPTH))
        rankings |= {name: dense(vectors[path][0], self.catalog) for name, path in models.items()}
        for name, (path, ranking) in ranked.items():
            embedded, sources = vectors[path]
            own = with_ranker(sources, ranking)
            rankings[name] = served(embedded, own, texts, self.catalog, ranking)
        return {name: self.scored(name, week, ranked) for name, ranked in rankings.items()}

    def _of(self, model: Path, week: int) -> tuple[Embedded, dict[str, Source]]:
        """Return a model's vectors of a week, and the sources as they are when the week begins."""
        if (model, week) not in self._known:
            encoder = Encoder.load(model, threads=self._settings.torch_threads)
            self._known = {key: value for key, value in self._known.items() if key[1] >= week - 1}
            embedded = Embedded.of(encoder, list(self._log.gains(week)), self.catalog)
            folder = self._new_folder()
            pairs = self._log.pairs_before(week, settings=self._settings)
            taken = taken_of(pairs.with_columns(client=pl.lit(None, pl.String)))  # nobody knows who
            digest = remember(encoder, taken, folder)
            ranking = Ranking(coefficients=EVERY, artefacts={MEMORY: (str(folder), digest)})
            sources = sources_of(ranking, self.words, model_sha256=encoder.fingerprint)
            self._known[model, week] = embedded, sources
        return self._known[model, week]

    def _new_folder(self) -> Path:
        self._folders += 1
        return Path(self._scratch.name) / str(self._folders)

    def scored(self, name: str, week: int, rankings: Sequence[Sequence[str]]) -> dict[str, float]:
        """Return the means of a system's nDCG@10, and keep it by query: in the order of the week's gains."""
        seen = self._log.queries_before(week)
        own = {
            (week, query, query not in seen): ndcg(ranked, gains)
            for ranked, (query, gains) in zip(rankings, self._log.gains(week).items(), strict=True)
        }
        self._by_query.setdefault(name, {}).update(own)
        unseen = [value for (_, _, is_new), value in own.items() if is_new]
        means = {
            "all": float(np.mean(list(own.values()))),
            "unseen": float(np.mean(unseen)) if unseen else 0.0,
        }
        return {kind: round(value, 4) for kind, value in means.items()} | {
            "n": len(own),
            "n_unseen": len(unseen),
        }

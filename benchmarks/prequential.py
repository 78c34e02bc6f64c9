"""Week by week over a click log, offline, with the trainer's own code: train on all before a week, test on the week.

``frozen`` is trained once, on all before the first week; ``incremental`` goes on from it every week; ``full`` starts from the base model
every week. ``served`` is the incremental model with BM25, weighed on the week before with the model that had not seen that week.
nDCG@10 over the whole catalogue per distinct query, gain log2(1 + clicks); ``unseen``: queries without a click before the week.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.report import data_folder, finish, say
from benchmarks.learning.clicklog import SETTINGS, ClickLog
from retrieval.encoder import Encoder
from retrieval.lexical import Lexical
from retrieval.model_folder import resolve_model
from schemas.settings import TrainerSettings
from trainer.evaluation.fusion import Fitted
from trainer.evaluation.rankers import FUSED_DEPTH, Catalog, Embedded, bm25, dense, fit_words, hybrid, popularity, rrf
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
        """Train on all before the week: from the base model, or from ``start``, for which the week before is new."""
        pairs = self.log.pairs_before(week, new_from=week - 1 if start else None, settings=self.settings)
        new = int(pairs["new"].sum())
        device = device_of(self.settings.device)
        chosen = plan(self.settings, new_pairs=new, old_pairs=pairs.height - new, from_live=start is not None, device=device)
        output = self.folder / f"{name}-{week}"
        facts = fine_tune(
            start or resolve_model(self.settings.base_model),
            output,
            TrainingData(
                pairs,
                self.log.rows.filter(pl.col("week") < week).select("query", "product_id").unique(maintain_order=True),
                dict(self.log.catalog.select("product_id", "text").iter_rows()),
            ),
            chosen,
        )
        say(f"{name} before week {week}: {new} new of {pairs.height} pairs, {facts.steps} steps, {facts.cpu_s:.0f} CPU-s")
        return output, facts


class Ground:
    """The catalogue and its words; scores systems on a week."""

    def __init__(self, log: ClickLog, settings: TrainerSettings) -> None:
        self._log, self._settings = log, settings
        self.catalog = Catalog.of(log.catalog)
        self._lexical = Lexical(self.catalog.ids, self.catalog.texts)
        self._known: dict[tuple[Path, int], Embedded] = {}

    def words_for(self, model: Path, week: int) -> Fitted:
        """Return how much of BM25 a model wants on the queries of a week that it has not seen."""
        gains = self._log.gains(week)
        vectors = self._embedded(model, week)
        return fit_words(vectors.queries, vectors.documents, self._lexical, list(gains), list(gains.values()), self.catalog)

    def score(self, week: int, models: Mapping[str, Path], hybrids: Mapping[str, tuple[Path, Fitted]]) -> Scores:
        """Score popularity, BM25, RRF with the base model, the models by name, and the hybrids of a model and its share of words."""
        gains = self._log.gains(week)
        texts, seen = list(gains), self._log.queries_before(week)
        deep = bm25(self._lexical, texts, depth=FUSED_DEPTH)
        credit = self._log.pairs_before(week, settings=self._settings)
        vectors = {path: self._embedded(path, week) for path in {*models.values(), *(path for path, _ in hybrids.values())}}
        rankings = {"popularity": popularity(texts, self.catalog, credit), "bm25": deep}
        rankings["rrf"] = rrf(deep, dense(vectors[models["base"]], self.catalog, depth=FUSED_DEPTH))
        rankings |= {name: dense(vectors[path], self.catalog) for name, path in models.items()}
        for name, (path, words) in hybrids.items():
            rankings[name] = hybrid(vectors[path], self._lexical, texts, self.catalog, words.coefficient)
        return {name: _means(ranked, gains, seen) for name, ranked in rankings.items()}

    def _embedded(self, model: Path, week: int) -> Embedded:
        if (model, week) not in self._known:
            encoder = Encoder.load(model, threads=self._settings.torch_threads)
            self._known = {key: value for key, value in self._known.items() if key[1] >= week - 1}
            self._known[model, week] = Embedded.of(encoder, list(self._log.gains(week)), self.catalog)
        return self._known[model, week]


def _means(rankings: Sequence[Sequence[str]], gains: Gains, seen: set[str]) -> dict[str, float]:
    scores = {query: ndcg(ranked, own) for ranked, (query, own) in zip(rankings, gains.items(), strict=True)}
    unseen = [score for query, score in scores.items() if query not in seen]
    means = {"all": float(np.mean(list(scores.values()))), "unseen": float(np.mean(unseen)) if unseen else 0.0}
    return {name: round(value, 4) for name, value in means.items()} | {"n": len(scores), "n_unseen": len(unseen)}


def mean_over(weeks: Mapping[int, Scores]) -> Scores:
    """Return the mean of each system over the weeks, each week weighing the same."""
    systems = next(iter(weeks.values()))
    return {s: {part: round(float(np.mean([w[s][part] for w in weeks.values()])), 4) for part in ("all", "unseen")} for s in systems}


def main() -> int:
    """Parse the arguments and run."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clicks", type=Path, default=None, help="default: bestbuy_clicks.jsonl.gz of the shared data")
    parser.add_argument("--products", type=Path, default=None, help="default: bestbuy_products.jsonl.gz of the shared data")
    parser.add_argument("--weeks", default="35-40", help="ISO weeks A-B to test")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-full", action="store_true", help="leave the weekly full retrain out")
    args = parser.parse_args()
    log = ClickLog.read(
        args.clicks or data_folder() / "bestbuy_clicks.jsonl.gz", args.products or data_folder() / "bestbuy_products.jsonl.gz"
    )
    first, _, last = args.weeks.partition("-")
    tested = list(log.weeks(int(first), int(last or first)))
    settings = SETTINGS.model_copy(update={"seed": args.seed})
    base = resolve_model(settings.base_model)
    ground = Ground(log, settings)
    weeks: dict[int, Scores] = {}
    cost: dict[int, dict[str, float]] = {}
    words: dict[int, float] = {}
    with tempfile.TemporaryDirectory(prefix="searchloop-prequential-") as scratch:
        learner = Learner(log, settings, Path(scratch))
        earlier = set(log.rows.filter(pl.col("week") < tested[0] - 1)["week"].to_list())
        previous = learner.train("look-back", tested[0] - 1)[0] if earlier else None
        frozen = live = Path()
        for week in tested:
            if week == tested[0]:
                live, facts = learner.train("frozen", week)
                frozen, full, cost[week] = live, live, {"frozen": facts.cpu_s, "incremental": facts.cpu_s, "full": facts.cpu_s}
            else:
                previous = live
                live, facts = learner.train("incremental", week, start=live)
                cost[week] = {"incremental": facts.cpu_s}
                if not args.without_full:
                    full, facts = learner.train("full", week)
                    cost[week]["full"] = facts.cpu_s
            ours = ground.words_for(previous, week - 1) if previous else Fitted()
            theirs = ground.words_for(base, week - 1)
            words[week] = ours.coefficient
            models = {"base": base, "frozen": frozen, "incremental": live} | ({} if args.without_full else {"full": full})
            weeks[week] = ground.score(week, models, {"served": (live, ours), "served_untrained": (base, theirs)})
            say(f"week {week}: " + ", ".join(f"{s} {v['all']:.3f}/{v['unseen']:.3f}" for s, v in weeks[week].items()))
    mean = mean_over(weeks)
    return finish(
        "prequential",
        seed=args.seed,
        started=started,
        ok=all(np.isfinite(list(value.values())).all() and value["n"] > 0 for scores in weeks.values() for value in scores.values()),
        device=device_of(settings.device),
        weeks=weeks,
        mean=mean,
        train_cpu_s=cost,
        words=words,
        clicks_ignored=log.ignored,
    )


if __name__ == "__main__":
    raise SystemExit(main())
